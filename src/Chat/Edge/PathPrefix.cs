using System.Text.RegularExpressions;

namespace Chat.Edge;

/// <summary>
/// The path under which a proxy publishes the server, from <c>PathBase</c>: <c>/team</c> for <c>https://example.org/team/</c>.
/// The proxy may pass the prefix on or strip it: the request's path base is the prefix either way, and generated URLs
/// include it.
/// </summary>
internal static partial class PathPrefix
{
    private const string Setting = "PathBase";

    /// <summary>Returns what is wrong with a value of the setting; null if it is valid. It is embedded in the page.</summary>
    public static string? Validate(string value) =>
        Form().IsMatch(value.TrimEnd('/'))
            ? null : "is not a path: write /team, with letters, digits, '-', '_', '.' and '~' between the slashes.";

    /// <summary>Returns the prefix, without a trailing slash; empty if there is none.</summary>
    public static string Of(IConfiguration configuration) => (configuration[Setting] ?? "").TrimEnd('/');

    /// <summary>Adds the middleware; must run before routing.</summary>
    public static void UsePathPrefix(this WebApplication app)
    {
        var prefix = new PathString(Of(app.Configuration));
        if (!prefix.HasValue)
            return;
        app.Use((http, next) =>
        {
            if (http.Request.Path.StartsWithSegments(prefix, StringComparison.Ordinal, out var remaining))
                http.Request.Path = remaining.HasValue ? remaining : "/";
            http.Request.PathBase = prefix;
            return next(http);
        });
    }

    [GeneratedRegex(@"^(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*$")]
    private static partial Regex Form();
}
