using System.Text.RegularExpressions;

namespace Chat.Edge;

/// <summary>
/// The path under which a proxy shows the server, from <c>PathBase</c>: <c>/team</c> for <c>https://example.org/team/</c>. It
/// makes no difference whether the proxy passes the prefix on or takes it off: the request's path base is the prefix either
/// way, and whatever names an address of ours puts it in front.
/// </summary>
internal static partial class PathPrefix
{
    private const string Setting = "PathBase";

    /// <summary>What is wrong with a value of the setting; null if nothing is. It becomes a part of the page.</summary>
    public static string? Validate(string value) =>
        Form().IsMatch(value.TrimEnd('/')) ? null : "is no path: write /team, with letters, digits, '-', '_', '.' and '~' between the slashes.";

    /// <summary>The prefix, without a slash at its end; empty if there is none.</summary>
    public static string Of(IConfiguration configuration) => (configuration[Setting] ?? "").TrimEnd('/');

    /// <summary>Stands before routing.</summary>
    public static void UsePathPrefix(this WebApplication app)
    {
        var prefix = new PathString(Of(app.Configuration));
        if (!prefix.HasValue)
            return;
        app.Use((http, next) =>
        {
            if (http.Request.Path.StartsWithSegments(prefix, StringComparison.Ordinal, out var rest))
                http.Request.Path = rest.HasValue ? rest : "/";
            http.Request.PathBase = prefix;
            return next(http);
        });
    }

    [GeneratedRegex(@"^(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*$")]
    private static partial Regex Form();
}
