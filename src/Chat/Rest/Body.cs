using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Chat.RateLimiting;
using Chat.Socket;
using Chat.Telemetry;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace Chat.Rest;

/// <summary>
/// A JSON body, read by the same rules as a socket event's payload and limited like a frame. Binds as a parameter; if it
/// cannot be read, the error is the response.
/// </summary>
/// <typeparam name="T">The body's type.</typeparam>
/// <param name="Content">The body, or why it could not be read.</param>
internal sealed record Body<T>(Result<T> Content)
    where T : class
{
    public static async ValueTask<Body<T>> BindAsync(HttpContext http)
    {
        RejectOtherTypes(http.Request);
        var limit = http.RequestServices.GetRequiredService<Limits>().MaxFrameBytes;
        var bytes = new byte[limit + 1];
        var length = await ReadAsync(http, bytes);
        if (length > limit)
        {
            http.RequestServices.GetRequiredService<ServerMetrics>().LimitHit(nameof(Limits.MaxFrameBytes));
            return new Body<T>(ChatError.Invalid(null, $"The body is larger than {limit} bytes."));
        }

        // An empty body stands for an object without fields.
        var text = length == 0 ? "{}"u8 : bytes.AsSpan(0, length);
        try
        {
            var json = http.RequestServices.GetRequiredService<IOptions<JsonOptions>>().Value.SerializerOptions;
            var value = JsonSerializer.Deserialize(text, (JsonTypeInfo<T>)json.GetTypeInfo(typeof(T)));
            return new Body<T>(value is null ? ChatError.Invalid(null, "The body must be a JSON object.") : value);
        }
        catch (JsonException failure)
        {
            return new Body<T>(ChatError.Malformed(failure));
        }
    }

    private static async Task<int> ReadAsync(HttpContext http, byte[] bytes)
    {
        try
        {
            return await http.Request.Body.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, http.RequestAborted);
        }
        // The connection broke, or a chunk's declared size is absurd: the client's fault, not an internal error.
        catch (IOException failure) when (failure is not BadHttpRequestException)
        {
            throw new BadHttpRequestException("The body could not be read.", failure);
        }
    }

    // A declared media type must be JSON, in UTF-8, the only encoding for JSON exchange (RFC 8259, 8.1). The media type of an empty
    // body is ignored.
    private static void RejectOtherTypes(HttpRequest request)
    {
        if (request.Headers.ContentType.Count == 0 || request.ContentLength == 0)
            return;
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
            || !type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (type.Charset.HasValue && !HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase)))
            throw new BadHttpRequestException("The body must be application/json.", StatusCodes.Status415UnsupportedMediaType);
    }
}
