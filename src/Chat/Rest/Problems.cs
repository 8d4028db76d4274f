using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using Chat.Hosting;
using Chat.Socket;

namespace Chat.Rest;

/// <summary>Errors over REST: problem details (RFC 9457) with the same codes as on the socket.</summary>
internal static class Problems
{
    /// <summary>The types of statuses that the framework has none for.</summary>
    private static readonly FrozenDictionary<int, string> Types = new Dictionary<int, string>
    {
        [StatusCodes.Status413PayloadTooLarge] = "https://tools.ietf.org/html/rfc9110#section-15.5.14",
        [StatusCodes.Status414UriTooLong] = "https://tools.ietf.org/html/rfc9110#section-15.5.15",
        [StatusCodes.Status421MisdirectedRequest] = "https://tools.ietf.org/html/rfc9110#section-15.5.20",
        [StatusCodes.Status429TooManyRequests] = "https://tools.ietf.org/html/rfc6585#section-4",
        [StatusCodes.Status431RequestHeaderFieldsTooLarge] = "https://tools.ietf.org/html/rfc6585#section-5",
    }.ToFrozenDictionary();

    /// <summary>
    /// Converts an error to a response. Not a member and not found must look the same, so FORBIDDEN on the socket becomes a 404
    /// here.
    /// </summary>
    public static IResult ToProblem(this ChatError error)
    {
        var shown = error.Code == ErrorCode.Forbidden ? ChatError.NotFound("Conversation not found.") : error;
        return TypedResults.Problem(shown.Message, statusCode: StatusOf(shown.Code), type: Types.GetValueOrDefault(StatusOf(shown.Code)),
            extensions: Extensions(shown));
    }

    /// <summary>Gives every error the same form, including those of the framework: 401, 404, 405, 500 …</summary>
    public static IServiceCollection AddProblems(this IServiceCollection services) =>
        services.AddExceptionHandler<DatabaseUnavailableHandler>().AddProblemDetails(options => options.CustomizeProblemDetails = Complete);

    /// <summary>Adds REST's error boundary: an unavailable database becomes a 503, any other exception a 500.</summary>
    public static void UseProblems(this WebApplication app)
    {
        app.UseExceptionHandler(new ExceptionHandlerOptions
        {
            StatusCodeSelector = StatusOf,
            SuppressDiagnosticsCallback = failed => StatusOf(failed.Exception) != StatusCodes.Status500InternalServerError,
        });
        app.UseStatusCodePages();
    }

    private static void Complete(ProblemDetailsContext problem)
    {
        if (problem.ProblemDetails.Status is { } status && Types.TryGetValue(status, out var type))
            problem.ProblemDetails.Type = type;
        var extensions = problem.ProblemDetails.Extensions;
        if (!extensions.ContainsKey("code"))
        {
            var code = CodeOf(problem.ProblemDetails.Status ?? StatusCodes.Status500InternalServerError);
            var error = code == ErrorCode.Unavailable ? ChatError.Unavailable : new ChatError(code, "");
            foreach (var (name, value) in Extensions(error))
                extensions.TryAdd(name, value);
        }

        if (problem.ProblemDetails.Status == StatusCodes.Status415UnsupportedMediaType)
        {
            problem.ProblemDetails.Detail = "The body must be application/json, in UTF-8.";
            problem.HttpContext.Response.Headers.Accept = "application/json";
        }

        // In whole seconds (RFC 9110, 10.2.3), rounded up so that it is never sooner than retryAfterMs.
        if (extensions.TryGetValue("retryAfterMs", out var wait))
            problem.HttpContext.Response.Headers.RetryAfter = (((int)wait! + 999) / 1000).ToString(CultureInfo.InvariantCulture);
    }

    private static int StatusOf(Exception failure) => failure switch
    {
        BadHttpRequestException bad => bad.StatusCode,
        _ when DatabaseFailure.IsUnavailable(failure) => StatusCodes.Status503ServiceUnavailable,
        _ => StatusCodes.Status500InternalServerError,
    };

    private static int StatusOf(ErrorCode code) => code switch
    {
        ErrorCode.Unauthorized => StatusCodes.Status401Unauthorized,
        ErrorCode.Blocked or ErrorCode.Forbidden => StatusCodes.Status403Forbidden,
        ErrorCode.NotFound => StatusCodes.Status404NotFound,
        ErrorCode.RateLimited => StatusCodes.Status429TooManyRequests,
        ErrorCode.LimitReached => StatusCodes.Status409Conflict,
        ErrorCode.Unavailable => StatusCodes.Status503ServiceUnavailable,
        ErrorCode.InternalError => StatusCodes.Status500InternalServerError,
        _ => StatusCodes.Status400BadRequest,
    };

    private static ErrorCode CodeOf(int status) => status switch
    {
        StatusCodes.Status401Unauthorized => ErrorCode.Unauthorized,
        StatusCodes.Status403Forbidden => ErrorCode.Forbidden,
        StatusCodes.Status404NotFound or StatusCodes.Status405MethodNotAllowed => ErrorCode.NotFound,
        StatusCodes.Status429TooManyRequests => ErrorCode.RateLimited,
        StatusCodes.Status503ServiceUnavailable => ErrorCode.Unavailable,
        >= 500 => ErrorCode.InternalError,
        _ => ErrorCode.ValidationError,
    };

    private static Dictionary<string, object?> Extensions(ChatError error)
    {
        var extensions = new Dictionary<string, object?> { ["code"] = NameOf(error.Code), ["retryable"] = error.Retryable };
        if (error.RetryAfterMs is { } wait)
            extensions["retryAfterMs"] = wait;
        if (error.Field is { } field)
            extensions["field"] = field;
        if (error.TempId is { } tempId)
            extensions["tempId"] = tempId;
        return extensions;
    }

    public static string NameOf(ErrorCode code) => JsonNamingPolicy.SnakeCaseUpper.ConvertName(code.ToString());
}
