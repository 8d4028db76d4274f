using System.IO.Compression;
using System.Security.Cryptography;
using Microsoft.Net.Http.Headers;

namespace Chat.Rest;

/// <summary>
/// Bytes that are the same for everybody: made when they are first asked for, compressed once for each content coding, and
/// then only sent. Nobody needs an account to ask for them, so a request may cost no more than that.
/// </summary>
/// <param name="contentType">What they are.</param>
/// <param name="make">Makes them; called once.</param>
internal sealed class StaticDocument(string contentType, Func<Task<byte[]>> make)
{
    /// <summary>What is worth compressing; images and fonts are compressed already.</summary>
    private static readonly string[] Compressible = ["text/", "application/json", "application/manifest+json", "image/svg+xml"];

    private readonly Lazy<Task<Representation>> identity = new(() => Task.Run(async () => Representation.Of(await make())));
    private Lazy<Task<Representation>>? brotli, gzip;

    private bool IsCompressible => Compressible.Any(start => contentType.StartsWith(start, StringComparison.Ordinal));

    /// <summary>Answers GET and HEAD, with 304 where the caller has it already. The caller's headers are set before.</summary>
    public async Task SendAsync(HttpContext http)
    {
        var headers = http.Response.Headers;
        if (IsCompressible)
            headers.Append(HeaderNames.Vary, HeaderNames.AcceptEncoding);
        var chosen = await ChooseAsync(http.Request);
        headers.ContentEncoding = chosen.Coding;
        await TypedResults.Bytes(chosen.Bytes, contentType, entityTag: chosen.Tag).ExecuteAsync(http);
        // Nothing is sent with it that a coding could apply to.
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

    // Everybody who comes while it is compressed waits for the same one, on no thread.
    private Task<Representation> Once(ref Lazy<Task<Representation>>? compressed, string coding) =>
        LazyInitializer.EnsureInitialized(ref compressed, () => new(() => Task.Run(async () => (await identity.Value).In(coding)))).Value;

    /// <summary>The document in one content coding, under an entity tag of its own (RFC 9110, 8.8.3).</summary>
    private sealed record Representation(byte[] Bytes, string? Coding, EntityTagHeaderValue Tag)
    {
        public static Representation Of(byte[] bytes) =>
            new(bytes, null, new EntityTagHeaderValue($"\"{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 16))}\""));

        public Representation In(string coding)
        {
            using var compressed = new MemoryStream();
            using (Stream compressor = coding == "br" ? new BrotliStream(compressed, CompressionLevel.Optimal) : new GZipStream(compressed, CompressionLevel.Optimal))
                compressor.Write(Bytes);
            return new Representation(compressed.ToArray(), coding, new EntityTagHeaderValue($"{Tag.Tag.AsSpan()[..^1]}-{coding}\""));
        }
    }
}
