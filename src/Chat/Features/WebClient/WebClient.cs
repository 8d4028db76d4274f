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
/// Serves the web client at <c>/</c>: the built files of <c>clients/web</c>, and <c>/client.json</c>, which tells the page how to sign
/// in. <c>/c/{id}</c> is the same page, so that conversations can be linked. Nothing here requires a token; security headers
/// restrict the page to loading from, running and connecting to this server.
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

    /// <summary>Maps every built file, and the page at all of its paths.</summary>
    /// <param name="app">The server.</param>
    /// <param name="pathBase">
    /// The path prefix under which a proxy exposes the server. The page is built with relative URLs but served at several depths:
    /// here they are made absolute. The page derives the rest from the URL of its script.
    /// </param>
    public static void Map(WebApplication app, string pathBase)
    {
        var policy = Policy(app.Services.GetRequiredService<IOptions<JwtSettings>>().Value,
            app.Services.GetRequiredService<IOptions<WebClientSettings>>().Value);
        // Relative to the binary, whatever the working directory.
        var folder = Path.Combine(AppContext.BaseDirectory, "wwwroot");
        var types = new FileExtensionContentTypeProvider();
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            var address = Path.GetRelativePath(folder, file).Replace('\\', '/');
            var type = types.TryGetContentType(file, out var known) ? known : "application/octet-stream";
            // The file name of an asset contains a hash of its content.
            var cache = address.StartsWith("assets/", StringComparison.Ordinal) ? "public, max-age=31536000, immutable" : "no-cache";
            var document = new StaticDocument(type, address == Index
                ? async () => Encoding.UTF8.GetBytes(
                    (await File.ReadAllTextAsync(file)).Replace(Relative, $"\"{pathBase}/", StringComparison.Ordinal))
                : () => File.ReadAllBytesAsync(file));
            if (address == Index)
                app.Use((http, next) => ServeNotFoundPageAsync(http, next, document, policy));
            foreach (var path in address == Index ? [address, "", "c/{id}"] : (string[])[address])
                app.MapMethods(path, Methods, http => SendAsync(http, document, policy, cache)).AllowAnonymous().ExcludeFromDescription();
        }
    }

    // Browsers get the page for an unknown path; clients that do not accept HTML get problem details.
    private static async Task ServeNotFoundPageAsync(HttpContext http, RequestDelegate next, StaticDocument page, string policy)
    {
        await next(http);
        if (http.Response is { StatusCode: StatusCodes.Status404NotFound, HasStarted: false } && http.GetEndpoint() is null
            && Methods.Contains(http.Request.Method)
            && http.Request.GetTypedHeaders().Accept.Any(accepted => accepted.MediaType == "text/html"))
            await SendAsync(http, page, policy, "no-store");
    }

    private static Task SendAsync(HttpContext http, StaticDocument document, string policy, string cache)
    {
        var headers = http.Response.Headers;
        headers.CacheControl = cache;
        headers.ContentSecurityPolicy = policy;
        headers.XFrameOptions = "DENY";
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
        return document.SendAsync(http);
    }

    // Everything not listed is denied; the only trusted-types policy creates the URL of the service worker. 'self' in connect-src
    // includes the WebSocket (CSP 3). With an external issuer, the page fetches its metadata and exchanges the code there.
    private static string Policy(JwtSettings jwt, WebClientSettings settings)
    {
        var issuer = settings.IssuerOf(jwt) is { } authority ? $" {new Uri(authority).GetLeftPart(UriPartial.Authority)}" : "";
        return $"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; manifest-src 'self'; worker-src 'self'; connect-src 'self'{issuer}; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types chat-worker";
    }
}

/// <summary>How the web client signs users in; configuration section <c>Web</c>.</summary>
public sealed class WebClientSettings
{
    /// <summary>The name of the configuration section.</summary>
    public const string Section = "Web";

    /// <summary>The client id of the page at the issuer of <c>Jwt:Authority</c>: a public client, using code flow with PKCE.</summary>
    public string? ClientId { get; set; }

    /// <summary>The scopes that the page requests.</summary>
    public string Scope { get; set; } = "openid profile";

    /// <summary>Returns the issuer that signs users in; null if sign-in is not configured.</summary>
    internal string? IssuerOf(JwtSettings jwt) =>
        string.IsNullOrWhiteSpace(ClientId) || string.IsNullOrWhiteSpace(jwt.Authority) ? null : jwt.Authority;
}

/// <summary>The response of <c>GET /client.json</c>: the configuration that the page needs before sign-in.</summary>
/// <param name="DevSignIn">Whether <c>POST /dev/token</c> is available.</param>
/// <param name="Oidc">The OpenID Connect issuer; null if none is configured for the page.</param>
public sealed record ClientInfo(bool DevSignIn, OidcClient? Oidc);

/// <summary>The OpenID Connect settings of the page: code flow with PKCE, as a public client.</summary>
/// <param name="Authority">The issuer URL.</param>
/// <param name="ClientId">The client id of the page.</param>
/// <param name="Scope">The scopes to request.</param>
public sealed record OidcClient(string Authority, string ClientId, string Scope);

/// <summary>The REST endpoints.</summary>
public sealed class WebClientModule : ICarterModule
{
    /// <inheritdoc/>
    public void AddRoutes(IEndpointRouteBuilder app) => app.MapGet("/client.json", GetClientInfo).AllowAnonymous().WithTags("Web client")
        .Describe("getClientInfo", "Returns the configuration that the page at / needs before sign-in.",
            "The `authority` is an OpenID Connect issuer at which the page is a public client: code flow with PKCE.")
        .Returns(StatusCodes.Status200OK, "The sign-in configuration.",
            new ClientInfo(true, new OidcClient("https://issuer.example.org", "chat-page", "openid profile")))
        .Fails();

    private static Ok<ClientInfo> GetClientInfo(
        HttpContext http, IOptions<JwtSettings> jwt, IOptions<WebClientSettings> settings, IHostEnvironment environment)
    {
        http.Response.Headers[HeaderNames.CacheControl] = "no-store";
        var oidc = settings.Value.IssuerOf(jwt.Value) is { } authority
            ? new OidcClient(authority, settings.Value.ClientId!, settings.Value.Scope) : null;
        return TypedResults.Ok(new ClientInfo(DevTokenSlice.IsOpen(environment, jwt.Value), oidc));
    }
}
