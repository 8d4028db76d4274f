using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Chat.Rest;
using Chat.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.ResponseCompression;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Rest;

/// <summary>Public documents are built once and compressed once, however often they are requested.</summary>
public sealed class StaticDocumentTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ServiceProvider services = new ServiceCollection().AddLogging().BuildServiceProvider();

    public static TheoryData<string> Documents =>
        ["/", "/index.html", "/docs/scalar.js", "/docs/scalar.aspnetcore.js", "/docs/favicon.svg", "/openapi/v1.json"];

    [Theory]
    [InlineData("", null)]
    [InlineData("br", "br")]
    [InlineData("gzip, deflate, br, zstd", "br")]
    [InlineData("GZIP;q=0.5", "gzip")]
    [InlineData("br;q=0, gzip", "gzip")]
    [InlineData("br;q=0, gzip;q=0.000", null)]
    [InlineData("*", "br")]
    [InlineData("br;q=0, *", "gzip")]
    [InlineData("*;q=0", null)]
    [InlineData("identity", null)]
    [InlineData("br; nonsense=, ;;", null)]
    public async Task A_document_is_built_once_and_compressed_once_per_encoding(string accepted, string? coding)
    {
        var made = 0;
        var text = string.Concat(Enumerable.Repeat("the same for everybody; ", 1000));
        var document = new StaticDocument("text/plain", () =>
        {
            Interlocked.Increment(ref made);
            return Task.FromResult(Encoding.UTF8.GetBytes(text));
        });

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Ask(document, accepted)));

        Assert.Equal(1, made);
        var first = answers[0];
        Assert.All(answers, answer => Assert.Equal(first.Body, answer.Body));
        Assert.Equal(coding, first.Headers.ContentEncoding.SingleOrDefault());
        Assert.Equal("Accept-Encoding", first.Headers.Vary);
        Assert.Equal(first.Body.Length, first.Headers.ContentLength);
        Assert.Equal(text, await Decoded(first.Body, coding));
    }

    [Fact]
    public async Task Compressed_content_is_not_compressed_again()
    {
        var document = new StaticDocument("image/png", () => Task.FromResult<byte[]>([1, 2, 3]));

        var answer = await Ask(document, "br");

        Assert.Equal([1, 2, 3], answer.Body);
        Assert.Equal(("", ""), ($"{answer.Headers.ContentEncoding}", $"{answer.Headers.Vary}"));
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task Every_public_document_has_one_body_and_an_ETag_per_encoding(string address)
    {
        var tags = new List<EntityTagHeaderValue>();
        foreach (var coding in (string?[])[null, "br", "gzip"])
        {
            using var first = await Get(address, coding);
            using var second = await Get(address, coding, first.Headers.ETag);
            using var head = await Get(address, coding, method: HttpMethod.Head);

            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
            Assert.Equal(coding, first.Content.Headers.ContentEncoding.SingleOrDefault());
            Assert.Equal(["Accept-Encoding"], first.Headers.Vary);
            Assert.Equal("no-cache", $"{first.Headers.CacheControl}");
            Assert.Equal("nosniff", first.Headers.GetValues("X-Content-Type-Options").Single());
            Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
            Assert.Empty(second.Content.Headers.ContentEncoding);
            Assert.Equal(first.Headers.ETag, second.Headers.ETag);
            Assert.Equal((HttpStatusCode.OK, first.Content.Headers.ContentLength), (head.StatusCode, head.Content.Headers.ContentLength));
            Assert.Empty(await head.Content.ReadAsByteArrayAsync());
            tags.Add(first.Headers.ETag!);
        }

        Assert.Equal(tags.Distinct(), tags);
    }

    [Fact]
    public void Requests_cause_no_compression() =>
        Assert.Null(shared.App.Services.GetService<IResponseCompressionProvider>());

    [Fact]
    public async Task The_contract_and_its_page_can_be_disabled()
    {
        await using var app = await ChatApp.Start(new() { ["Docs:Enabled"] = "false" });

        foreach (var address in (string[])["/openapi/v1.json", "/docs", "/docs/", "/docs/scalar.js"])
            Assert.Equal(HttpStatusCode.NotFound, (await app.Http().GetAsync(address)).StatusCode);
    }

    private async Task<(IHeaderDictionary Headers, byte[] Body)> Ask(StaticDocument document, string accepted)
    {
        var http = new DefaultHttpContext { RequestServices = services, Request = { Method = "GET" } };
        http.Request.Headers.AcceptEncoding = accepted;
        using var body = new MemoryStream();
        http.Response.Body = body;
        await document.SendAsync(http);
        return (http.Response.Headers, body.ToArray());
    }

    private static async Task<string> Decoded(byte[] body, string? coding)
    {
        using var packed = new MemoryStream(body);
        await using Stream plain = coding switch
        {
            "br" => new BrotliStream(packed, CompressionMode.Decompress),
            "gzip" => new GZipStream(packed, CompressionMode.Decompress),
            _ => packed,
        };
        using var reader = new StreamReader(plain);
        return await reader.ReadToEndAsync();
    }

    private async Task<HttpResponseMessage> Get(
        string address, string? coding, EntityTagHeaderValue? known = null, HttpMethod? method = null)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, address);
        if (coding is not null)
            request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue(coding));
        if (known is not null)
            request.Headers.IfNoneMatch.Add(known);
        return await shared.App.Alba.Server.CreateClient().SendAsync(request);
    }
}
