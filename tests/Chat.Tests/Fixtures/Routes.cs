using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Fixtures;

/// <summary>Lists the routes of a server.</summary>
internal static class Routes
{
    /// <summary>
    /// Returns each as <c>GET /chat/unread</c>, without the common prefix, without the two pages (see WebClientTests and
    /// ContractTests), and without HEAD, which is handled like GET.
    /// </summary>
    public static IEnumerable<string> Of(ChatApp app)
    {
        var folder = Path.Combine(AppContext.BaseDirectory, "wwwroot");
        var files = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/'));
        HashSet<string> page = ["", "c/{id}", .. files];
        var routes = from endpoint in app.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
                     let pattern = (endpoint.RoutePattern.RawText ?? "").Trim('/')
                     where !page.Contains(pattern) && !$"{pattern}/".StartsWith("docs/", StringComparison.Ordinal)
                     from method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["ANY"]
                     where method != "HEAD"
                     select $"{method} /{pattern}";
        return routes.Distinct().Order();
    }
}
