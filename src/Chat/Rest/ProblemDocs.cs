using Chat.Socket;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Microsoft.OpenApi;

namespace Chat.Rest;

/// <summary>The errors of an endpoint in the contract: its own, and those common to its kind.</summary>
internal static class ProblemDocs
{
    private static readonly ChatError[] Common = [ChatError.Internal, ChatError.Unavailable];
    private static readonly ChatError[] Protected = [ChatError.Unauthorized, ChatError.RateLimited(TimeSpan.FromSeconds(1))];
    private static readonly ChatError NotFound = ChatError.NotFound("Not found.");

    /// <summary>Returns all errors, with one example each.</summary>
    public static IEnumerable<ProblemDetails> Of(ApiDescription endpoint, bool hasBody)
    {
        var metadata = endpoint.ActionDescriptor.EndpointMetadata;
        var documented = metadata.OfType<DocumentedErrors>().ToArray();
        List<ChatError> errors = [.. documented.SelectMany(refusals => refusals.Errors)];
        if (documented.Length > 0)
            errors.AddRange(Common);
        if (metadata.OfType<IAuthorizeData>().Any() && !metadata.OfType<IAllowAnonymous>().Any())
            errors.AddRange(Protected);
        if (endpoint.ParameterDescriptions.Any(parameter => parameter.Source == BindingSource.Path))
            errors.Add(NotFound);

        var problems =
            errors.Select(error => error.ToProblem()).OfType<ProblemHttpResult>().Select(result => result.ProblemDetails).ToList();
        // Produced by the framework.
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

    /// <summary>Returns the headers required with a status.</summary>
    public static Dictionary<string, IOpenApiHeader>? HeadersOf(int status) => status switch
    {
        StatusCodes.Status401Unauthorized =>
            Header("WWW-Authenticate", "The scheme `Bearer`, and what is wrong with the token.", JsonSchemaType.String),
        StatusCodes.Status405MethodNotAllowed => Header("Allow", "The supported methods.", JsonSchemaType.String),
        StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable =>
            Header("Retry-After", "When to retry, in whole seconds; never sooner than `retryAfterMs`.", JsonSchemaType.Integer),
        _ => null,
    };

    private static ProblemDetails Bare(int status, ErrorCode code) => TypedResults.Problem(
        statusCode: status,
        extensions: new Dictionary<string, object?> { ["code"] = Problems.NameOf(code), ["retryable"] = false }).ProblemDetails;

    private static Dictionary<string, IOpenApiHeader> Header(string name, string description, JsonSchemaType type) =>
        new() { [name] = new OpenApiHeader { Description = description, Schema = new OpenApiSchema { Type = type } } };
}
