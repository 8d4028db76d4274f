using Chat.Socket;
using Chat.Telemetry;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Chat.Admin;

/// <summary>
/// <c>POST /drain</c>: sends everybody elsewhere without stopping, as a stop would, so that an engineer can look at the node, or take
/// its load off for a while. <c>DELETE /drain</c>: back into service. A node that starts anew is in service.
/// </summary>
internal sealed class DrainModule(Drain drain, Hub hub, AuditLog audit) : IAdminModule
{
    public void Map(IEndpointRouteBuilder admin)
    {
        admin.MapGet("/drain", (HttpContext http) => new AdminQuery(http).Refusal ?? State(StatusCodes.Status200OK)).WithSummary("Whether the node is in service.");
        admin.MapPost("/drain", Begin).WithSummary("Sends everybody elsewhere, and lets nobody in.");
        admin.MapDelete("/drain", (Delegate)EndAsync).WithSummary("Back into service.");
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

    private static ProblemHttpResult Stopping() => TypedResults.Problem("The node is stopping, and does not come back.", statusCode: StatusCodes.Status409Conflict);

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

/// <summary>The answer of all three.</summary>
/// <param name="State"><c>serving</c>, <c>draining</c>, <c>drained</c> (nobody is left) or <c>stopping</c>.</param>
/// <param name="Since">When the drain began.</param>
/// <param name="Connections">How many connections are open.</param>
internal sealed record DrainView(string State, DateTimeOffset? Since, int Connections);
