using System.Globalization;
using Microsoft.AspNetCore.Http.Metadata;

namespace Chat.Admin;

/// <summary><c>GET /</c>: lists the calls of this port.</summary>
internal sealed class IndexModule : IAdminModule
{
    public void Map(IEndpointRouteBuilder admin) =>
        admin.MapGet("/", (EndpointDataSource all) => TypedResults.Text(List(all))).WithSummary("Lists the calls of this port.");

    private static string List(EndpointDataSource all)
    {
        var lines = from endpoint in all.Endpoints.OfType<RouteEndpoint>()
                        // An endpoint without methods is for reading.
                    from method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? [HttpMethods.Get]
                    where !HttpMethods.IsHead(method)
                    let route = $"/{endpoint.RoutePattern.RawText?.Trim('/')}"
                    orderby route, method
                    select string.Create(CultureInfo.InvariantCulture,
                        $"{method,-7}{route,-26}{endpoint.Metadata.GetMetadata<IEndpointSummaryMetadata>()?.Summary}").TrimEnd();
        return string.Join('\n', lines) + '\n';
    }
}
