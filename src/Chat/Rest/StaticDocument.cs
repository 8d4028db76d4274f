using System.IO.Compression;
using System.Security.Cryptography;
using Microsoft.Net.Http.Headers;

namespace Chat.Rest;

/// <summary>
/// A response that is the same for everyone: created on first use, compressed once per content coding, then served from memory. It
/// is public, so serving it must cost no more than sending it.
/// </summary>
/// <param name="contentType">The media type.</param>
/// <param name="make">Creates the content; called once.</param>
internal sealed class StaticDocument(string contentType, Func<Task<byte[]>> make)
{
    /// <summary>The media types worth compressing; images and fonts are compressed already.</summary>
    private static readonly string[] Compressible = ["text/", "application/json", "application/manifest+json", "image/svg+xml"];

    private readonly Lazy<Task<Representation>> identity = new(() => Task.Run(async () => Representation.Of(await make())));
    private Lazy<Task<Representation>>? brotli, gzip;

    private bool IsCompressible => Compressible.Any(start => contentType.StartsWith(start, StringComparison.Ordinal));

    /// <summary>Responds to GET and HEAD, with 304 if the client's copy is current. Further headers are set by the caller.</summary>
    public async Task SendAsync(HttpContext http)
    {
        var headers = http.Response.Headers;
        if (IsCompressible)
            headers.Append(HeaderNames.Vary, HeaderNames.AcceptEncoding);
        var chosen = await ChooseAsync(http.Request);
        headers.ContentEncoding = chosen.Coding;
        await TypedResults.Bytes(chosen.Bytes, contentType, entityTag: chosen.Tag).ExecuteAsync(http);
        // A 304 has no content to which a coding could apply.
        if (http.Response.StatusCode == StatusCodes.Status304NotModified)
            headers.ContentEncoding = default;
    }

    private Task<Representation> ChooseAsync(HttpRequest request)
    {
        if (!IsCompressible || request.Headers.AcceptEncoding.Count == 0)
            return identity.Value;
        var accepted = request.GetTypedHeaders().AcceptEncoding;
        return Accepts("br") ? Once(ref brotli, "br") : Accepts("gzip") ? Once(ref gzip, "gzip") : identity.Value;

        bool Accepts(string coding) =>
            (Named(coding) ?? Named("*")) is { Quality: null or > 0 };

        StringWithQualityHeaderValue? Named(string coding) =>
            accepted.FirstOrDefault(one => one.Value.Equals(coding, StringComparison.OrdinalIgnoreCase));
    }

    // Concurrent requests await the same compression without blocking a thread.
    private Task<Representation> Once(ref Lazy<Task<Representation>>? compressed, string coding) =>
        LazyInitializer.EnsureInitialized(ref compressed, () => new(() => Task.Run(async () => (await identity.Value).In(coding)))).Value;

    /// <summary>The document in one content coding, with its own entity tag (RFC 9110, 8.8.3).</summary>
    private sealed record Representation(byte[] Bytes, string? Coding, EntityTagHeaderValue Tag)
    {
        public static Representation Of(byte[] bytes) =>
            new(bytes, null, new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16))}\""));

        public Representation In(string coding)
        {
            using var compressed = new MemoryStream();
            using (Stream compressor = coding == "br"
                ? new BrotliStream(compressed, CompressionLevel.Optimal) : new GZipStream(compressed, CompressionLevel.Optimal))
                compressor.Write(Bytes);
            return new Representation(compressed.ToArray(), coding, new EntityTagHeaderValue($"{Tag.Tag.AsSpan()[..^1]}-{coding}\""));
        }
    }
}
