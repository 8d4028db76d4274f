using System.Text;
using Carter;
using Chat.Rest;
using Chat.Slices;
using Chat.Tokens;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace Chat.Features;

/// <summary>
/// The page at <c>/</c>, where people chat: the built files of <c>clients/web</c>, and <c>/client.json</c>, which tells
/// the page how to sign in. <c>/c/{id}</c> is the same page, so that a conversation has an address. Nothing here needs
/// a token; the page is told by its headers to load, run and ask nothing but what comes from this server.
/// </summary>
public sealed class WebClientSlice : ISlice
{
    private const string Index = "index.html", Relative = "\"./";

    private static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head];

    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddOptions<WebClientSettings>().BindConfiguration(WebClientSettings.Section);
        slice.MapModule<WebClientModule>();
    }

    /// <summary>Maps each file that was built, and the page at its addresses.</summary>
    /// <param name="app">The server.</param>
    /// <param name="pathBase">
    /// Under which path a proxy shows it. The page is built with relative addresses, and served at addresses of several depths: here
    /// they become whole paths. Where its program comes from tells the page the rest.
    /// </param>
    public static void Map(WebApplication app, string pathBase)
    {
        var policy = Policy(app.Services.GetRequiredService<IOptions<JwtSettings>>().Value, app.Services.GetRequiredService<IOptions<WebClientSettings>>().Value);
        // Beside the program, wherever it is run from.
        var folder = Path.Combine(AppContext.BaseDirectory, "wwwroot");
        var types = new FileExtensionContentTypeProvider();
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            var address = Path.GetRelativePath(folder, file).Replace('\\', '/');
            var type = types.TryGetContentType(file, out var known) ? known : "application/octet-stream";
            // The name of an asset changes with what is in it.
            var cache = address.StartsWith("assets/", StringComparison.Ordinal) ? "public, max-age=31536000, immutable" : "no-cache";
            var document = new StaticDocument(type, address == Index
                ? async () => Encoding.UTF8.GetBytes((await File.ReadAllTextAsync(file)).Replace(Relative, $"\"{pathBase}/", StringComparison.Ordinal))
                : () => File.ReadAllBytesAsync(file));
            if (address == Index)
                app.Use((http, next) => AnswerNowhereAsync(http, next, document, policy));
            foreach (var place in address == Index ? [address, "", "c/{id}"] : (string[])[address])
                app.MapMethods(place, Methods, http => SendAsync(http, document, policy, cache)).AllowAnonymous().ExcludeFromDescription();
        }
    }

    // A program that asks for nothing in particular, or for JSON, gets problem details.
    private static async Task AnswerNowhereAsync(HttpContext http, RequestDelegate next, StaticDocument page, string policy)
    {
        await next(http);
        if (http.Response is { StatusCode: StatusCodes.Status404NotFound, HasStarted: false } && http.GetEndpoint() is null
            && Methods.Contains(http.Request.Method) && http.Request.GetTypedHeaders().Accept.Any(accepted => accepted.MediaType == "text/html"))
            await SendAsync(http, page, policy, "no-store");
    }

    private static Task SendAsync(HttpContext http, StaticDocument document, string policy, string cache)
    {
        var headers = http.Response.Headers;
        headers.CacheControl = cache;
        headers.ContentSecurityPolicy = policy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
        return document.SendAsync(http);
    }

    // What is not named is refused; the one policy of trusted types gives the address of the service worker and no other. 'self' of connect-src covers the WebSocket (CSP 3). With an issuer of its own the
    // page fetches its metadata and swaps the code for a token there.
    private static string Policy(JwtSettings jwt, WebClientSettings settings)
    {
        var issuer = settings.IssuerOf(jwt) is { } authority ? $" {new Uri(authority).GetLeftPart(UriPartial.Authority)}" : "";
        return $"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; connect-src 'self'{issuer}; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types chat-worker";
    }
}

/// <summary>How the page signs people in; configuration section <c>Web</c>.</summary>
public sealed class WebClientSettings
{
    /// <summary>The name of the configuration section.</summary>
    public const string Section = "Web";

    /// <summary>What the page is called at the issuer of <c>Jwt:Authority</c>: a public client, with code flow and PKCE.</summary>
    public string? ClientId { get; set; }

    /// <summary>What the page asks the issuer for.</summary>
    public string Scope { get; set; } = "openid profile";

    /// <summary>The issuer to which the page sends people; null if they cannot sign in there.</summary>
    internal string? IssuerOf(JwtSettings jwt) => string.IsNullOrWhiteSpace(ClientId) || string.IsNullOrWhiteSpace(jwt.Authority) ? null : jwt.Authority;
}

/// <summary>The answer of <c>GET /client.json</c>: what the page must know before anybody has signed in.</summary>
/// <param name="DevSignIn">Whether <c>POST /dev/token</c> is there.</param>
/// <param name="Oidc">The issuer that signs people in, if there is one for the page.</param>
public sealed record ClientInfo(bool DevSignIn, OidcClient? Oidc);

/// <summary>How to sign in by OpenID Connect: code flow with PKCE, as a public client.</summary>
/// <param name="Authority">The issuer's address.</param>
/// <param name="ClientId">Who the page is there.</param>
/// <param name="Scope">What to ask for.</param>
public sealed record OidcClient(string Authority, string ClientId, string Scope);

/// <summary>The REST side.</summary>
public sealed class WebClientModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) => app.MapGet("/client.json", Tell).AllowAnonymous().WithTags("Web client")
        .Describe("getClientInfo", "What the page at / must know before anybody has signed in.", "The `authority` is an OpenID Connect issuer at which the page is a public client: code flow with PKCE.")
        .Returns(StatusCodes.Status200OK, "How people sign in.", new ClientInfo(true, new OidcClient("https://issuer.example.org", "chat-page", "openid profile")))
        .Fails();

    private static Ok<ClientInfo> Tell(HttpContext http, IOptions<JwtSettings> jwt, IOptions<WebClientSettings> settings, IHostEnvironment environment)
    {
        http.Response.Headers[HeaderNames.CacheControl] = "no-store";
        var oidc = settings.Value.IssuerOf(jwt.Value) is { } authority ? new OidcClient(authority, settings.Value.ClientId!, settings.Value.Scope) : null;
        return TypedResults.Ok(new ClientInfo(DevTokenSlice.IsOpen(environment, jwt.Value), oidc));
    }
}
