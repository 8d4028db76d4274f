using System.Globalization;
using Microsoft.AspNetCore.Http.Metadata;

namespace Chat.Admin;

/// <summary><c>GET /</c>: what there is on this port, for whoever has forgotten it at three in the morning.</summary>
internal sealed class IndexModule : IAdminModule
{
    public void Map(IEndpointRouteBuilder admin) => admin.MapGet("/", (EndpointDataSource all) => TypedResults.Text(List(all))).WithSummary("This list.");

    private static string List(EndpointDataSource all)
    {
        var lines = from endpoint in all.Endpoints.OfType<RouteEndpoint>()
                    // What prescribes no method is there to be read.
                    from method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? [HttpMethods.Get]
                    where !HttpMethods.IsHead(method)
                    let route = $"/{endpoint.RoutePattern.RawText?.Trim('/')}"
                    orderby route, method
                    select string.Create(CultureInfo.InvariantCulture, $"{method,-7}{route,-26}{endpoint.Metadata.GetMetadata<IEndpointSummaryMetadata>()?.Summary}").TrimEnd();
        return string.Join('\n', lines) + '\n';
    }
}
