using Chat.Socket;
using Chat.Telemetry;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Chat.Admin;

/// <summary>
/// <c>POST /drain</c>: drains the node as a shutdown would, without stopping it, so that an engineer can inspect it, or relieve it of
/// load. <c>DELETE /drain</c>: puts it back into service. A restarted node is in service.
/// </summary>
internal sealed class DrainModule(Drain drain, Hub hub, AuditLog audit) : IAdminModule
{
    public void Map(IEndpointRouteBuilder admin)
    {
        admin.MapGet("/drain", (HttpContext http) => new AdminQuery(http).Refusal ?? State(StatusCodes.Status200OK))
            .WithSummary("Shows whether the node is in service.");
        admin.MapPost("/drain", Begin).WithSummary("Closes all connections and rejects new ones.");
        admin.MapDelete("/drain", (Delegate)EndAsync).WithSummary("Puts the node back into service.");
    }

    private IResult Begin(HttpContext http)
    {
        if (new AdminQuery(http).Refusal is { } refusal)
            return refusal;
        var (isNew, count) = (hub.State == NodeState.Serving, hub.Count);
        if (!drain.TryBegin())
            return Stopping();
        if (isNew)
            audit.DrainBegan(http.OperatorAddress(), count);
        return State(StatusCodes.Status202Accepted);
    }

    private async Task<IResult> EndAsync(HttpContext http)
    {
        if (new AdminQuery(http).Refusal is { } refusal)
            return refusal;
        var isNew = hub.State == NodeState.Draining;
        if (!await drain.TryEndAsync())
            return Stopping();
        if (isNew)
            audit.DrainEnded(http.OperatorAddress(), hub.Count);
        return State(StatusCodes.Status200OK);
    }

    private static ProblemHttpResult Stopping() =>
        TypedResults.Problem("The node is shutting down.", statusCode: StatusCodes.Status409Conflict);

    private JsonHttpResult<DrainView> State(int status)
    {
        var count = hub.Count;
        var state = hub.State switch
        {
            NodeState.Serving => "serving",
            NodeState.Draining => count == 0 ? "drained" : "draining",
            _ => "stopping",
        };
        return TypedResults.Json(new DrainView(state, drain.Since, count), AdminJson.Wire.DrainView, statusCode: status);
    }
}

/// <summary>The response of all three.</summary>
/// <param name="State"><c>serving</c>, <c>draining</c>, <c>drained</c> (no connections left) or <c>stopping</c>.</param>
/// <param name="Since">When the drain started.</param>
/// <param name="Connections">The number of open connections.</param>
internal sealed record DrainView(string State, DateTimeOffset? Since, int Connections);
