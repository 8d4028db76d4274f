using Carter;
using Chat.Rest;
using Chat.Tokens;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.ResponseCompression;
using Microsoft.Extensions.FileProviders;
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
    private const string Index = "index.html", Assets = "/assets";

    // In the order of how much of a first load they are. REST answers stay as they are: they hold secrets.
    private static readonly string[] Compressed = ["text/javascript", "text/css", "text/html", "image/svg+xml"];

    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddOptions<WebClientSettings>().BindConfiguration(WebClientSettings.Section);
        slice.Services.AddResponseCompression(options =>
        {
            options.EnableForHttps = true;
            options.MimeTypes = Compressed;
        });
        slice.Services.Configure<BrotliCompressionProviderOptions>(brotli => brotli.Level = System.IO.Compression.CompressionLevel.Optimal);
        slice.Rest<WebClientModule>();
    }

    /// <summary>Serves the files. They are middleware, so they stand before what Carter maps.</summary>
    public static void Serve(WebApplication app)
    {
        var policy = Policy(app.Services.GetRequiredService<IOptions<JwtSettings>>().Value, app.Services.GetRequiredService<IOptions<WebClientSettings>>().Value);
        var files = new StaticFileOptions
        {
            // Beside the program, wherever it is run from.
            FileProvider = new PhysicalFileProvider(Path.Combine(AppContext.BaseDirectory, "wwwroot")),
            OnPrepareResponse = file => Prepare(file.Context, policy),
        };
        app.UseWhen(http => !http.Request.Path.StartsWithSegments("/chat"), page => page.UseResponseCompression());
        app.UseStaticFiles(files);
        foreach (var address in new[] { "/", "/c/{id}" })
            app.MapFallbackToFile(address, Index, files).ExcludeFromDescription();
    }

    private static void Prepare(HttpContext http, string policy)
    {
        var headers = http.Response.Headers;
        // The name of an asset changes with what is in it.
        headers.CacheControl = http.Request.Path.StartsWithSegments(Assets) ? "public, max-age=31536000, immutable" : "no-cache";
        headers.ContentSecurityPolicy = policy;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
    }

    // What is not named is refused. 'self' of connect-src covers the WebSocket (CSP 3). With an issuer of its own the
    // page fetches its metadata and swaps the code for a token there.
    private static string Policy(JwtSettings jwt, WebClientSettings settings)
    {
        var issuer = settings.IssuerOf(jwt) is { } authority ? $" {new Uri(authority).GetLeftPart(UriPartial.Authority)}" : "";
        return $"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; manifest-src 'self'; connect-src 'self'{issuer}; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
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
        .Named("getClientInfo", "What the page at / must know before anybody has signed in.", "The `authority` is an OpenID Connect issuer at which the page is a public client: code flow with PKCE.")
        .Answers(StatusCodes.Status200OK, "How people sign in.", new ClientInfo(true, new OidcClient("https://issuer.example.org", "chat-page", "openid profile")))
        .Refuses();

    private static Ok<ClientInfo> Tell(HttpContext http, IOptions<JwtSettings> jwt, IOptions<WebClientSettings> settings, IHostEnvironment environment)
    {
        http.Response.Headers[HeaderNames.CacheControl] = "no-store";
        var oidc = settings.Value.IssuerOf(jwt.Value) is { } authority ? new OidcClient(authority, settings.Value.ClientId!, settings.Value.Scope) : null;
        return TypedResults.Ok(new ClientInfo(DevTokenSlice.IsOpen(environment, jwt.Value), oidc));
    }
}
