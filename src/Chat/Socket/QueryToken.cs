using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;

namespace Chat.Socket;

/// <summary>The token of <c>/chat/ws?token=…</c>, removed from the request before anything could log it.</summary>
/// <param name="Value">The token.</param>
internal sealed record QueryToken(string Value);

/// <summary>
/// Removes the token from the query string when the request's context is created: before the host's own request log,
/// traces and metrics, which would all expose it. Applies to every request, since a token sent to a mistyped path is no
/// less secret; and removes anything else that looks like a token, under any name and in the path, since some clients
/// call it <c>access_token</c>.
/// </summary>
internal sealed partial class QueryTokenContextFactory(IServiceProvider services) : IHttpContextFactory
{
    private readonly DefaultHttpContextFactory inner = new(services);

    public HttpContext Create(IFeatureCollection featureCollection)
    {
        var request = featureCollection.GetRequiredFeature<IHttpRequestFeature>();
        // Kestrel leaves both null for a CONNECT over HTTP/2.
        request.Path ??= "";
        request.QueryString ??= "";
        if (request.QueryString.Length > 1)
            HideInQuery(request, featureCollection);
        if (LooksLikeToken(request.Path))
            request.Path = request.RawTarget = "/hidden";
        return inner.Create(featureCollection);
    }

    public void Dispose(HttpContext httpContext) => inner.Dispose(httpContext);

    private static void HideInQuery(IHttpRequestFeature request, IFeatureCollection features)
    {
        var query = QueryHelpers.ParseQuery(request.QueryString);
        var count = query.Count;
        if (query.Remove("token", out var values))
            features.Set(new QueryToken(values.ToString()));
        foreach (var (name, others) in query)
        {
            if (LooksLikeToken(name) || others.Any(LooksLikeToken))
                query.Remove(name);
        }

        if (query.Count == count)
            return;
        request.QueryString = QueryString.Create(query).ToString();
        request.RawTarget = request.Path + request.QueryString;
    }

    private static bool LooksLikeToken(string? text) => text is not null && Token().IsMatch(text);

    // "{" of JSON in base64url, and at least two more parts: a JWS or a JWE.
    [GeneratedRegex(@"e[wy][\w-]{8,}\.[\w-]*\.[\w-]+", RegexOptions.CultureInvariant)]
    private static partial Regex Token();
}
