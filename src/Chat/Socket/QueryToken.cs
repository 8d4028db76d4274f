using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;

namespace Chat.Socket;

/// <summary>The token of <c>/chat/ws?token=…</c>, taken out of the request before anything could log it.</summary>
/// <param name="Value">The token.</param>
internal sealed record QueryToken(string Value);

/// <summary>
/// Takes the token out of the query string when the request's context is made: ahead of the host's own request log,
/// traces and metrics, which would all show it. Out of every request's, since a token that was sent to a mistyped
/// address is no less a secret.
/// </summary>
internal sealed class QueryTokenContextFactory(IServiceProvider services) : IHttpContextFactory
{
    private readonly DefaultHttpContextFactory inner = new(services);

    public HttpContext Create(IFeatureCollection featureCollection)
    {
        var request = featureCollection.GetRequiredFeature<IHttpRequestFeature>();
        if (request.QueryString.Length > 1)
            Hide(request, featureCollection);
        return inner.Create(featureCollection);
    }

    public void Dispose(HttpContext httpContext) => inner.Dispose(httpContext);

    private static void Hide(IHttpRequestFeature request, IFeatureCollection features)
    {
        var query = QueryHelpers.ParseQuery(request.QueryString);
        if (!query.Remove("token", out var values))
            return;
        features.Set(new QueryToken(values.ToString()));
        request.QueryString = QueryString.Create(query).ToString();
        request.RawTarget = request.Path + request.QueryString;
    }
}
