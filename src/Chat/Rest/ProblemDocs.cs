using Chat.Socket;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Microsoft.OpenApi;

namespace Chat.Rest;

/// <summary>What an endpoint may be refused with, as the contract shows it: what it says of itself, and what may happen to any request of its kind.</summary>
internal static class ProblemDocs
{
    private static readonly ChatError[] Anywhere = [ChatError.Internal, ChatError.Unavailable];
    private static readonly ChatError[] Protected = [ChatError.Unauthorized, ChatError.RateLimited(TimeSpan.FromSeconds(1))];
    private static readonly ChatError NoSuchId = ChatError.NotFound("There is nothing with this id.");

    /// <summary>All of them, an example each.</summary>
    public static IEnumerable<ProblemDetails> Of(ApiDescription endpoint, bool hasBody)
    {
        var metadata = endpoint.ActionDescriptor.EndpointMetadata;
        var own = metadata.OfType<DocumentedErrors>().ToArray();
        List<ChatError> errors = [.. own.SelectMany(refusals => refusals.Errors)];
        if (own.Length > 0)
            errors.AddRange(Anywhere);
        if (metadata.OfType<IAuthorizeData>().Any() && !metadata.OfType<IAllowAnonymous>().Any())
            errors.AddRange(Protected);
        if (endpoint.ParameterDescriptions.Any(parameter => parameter.Source == BindingSource.Path))
            errors.Add(NoSuchId);

        var problems = errors.Select(error => error.ToProblem()).OfType<ProblemHttpResult>().Select(result => result.ProblemDetails).ToList();
        // What the framework finds.
        problems.Add(Bare(StatusCodes.Status405MethodNotAllowed, ErrorCode.NotFound));
        if (metadata.OfType<AuthorizationPolicy>().Any())
            problems.Add(Bare(StatusCodes.Status403Forbidden, ErrorCode.Forbidden));
        if (hasBody)
        {
            problems.Add(Bare(StatusCodes.Status408RequestTimeout, ErrorCode.ValidationError));
            problems.Add(Bare(StatusCodes.Status415UnsupportedMediaType, ErrorCode.ValidationError));
        }

        return problems;
    }

    /// <summary>The header that HTTP wants with this status.</summary>
    public static Dictionary<string, IOpenApiHeader>? HeadersOf(int status) => status switch
    {
        StatusCodes.Status401Unauthorized => Header("WWW-Authenticate", "Names the scheme `Bearer`, and what is wrong with the token.", JsonSchemaType.String),
        StatusCodes.Status405MethodNotAllowed => Header("Allow", "The methods that there are.", JsonSchemaType.String),
        StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable =>
            Header("Retry-After", "When to try again, in whole seconds: never sooner than `retryAfterMs`.", JsonSchemaType.Integer),
        _ => null,
    };

    private static ProblemDetails Bare(int status, ErrorCode code) => TypedResults.Problem(
        statusCode: status,
        extensions: new Dictionary<string, object?> { ["code"] = Problems.NameOf(code), ["retryable"] = false }).ProblemDetails;

    private static Dictionary<string, IOpenApiHeader> Header(string name, string description, JsonSchemaType type) =>
        new() { [name] = new OpenApiHeader { Description = description, Schema = new OpenApiSchema { Type = type } } };
}
