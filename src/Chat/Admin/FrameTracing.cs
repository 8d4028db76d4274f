using Chat.Rest;
using Chat.Socket;
using Chat.Telemetry;

namespace Chat.Admin;

/// <summary>
/// <c>/trace/{userId}</c>: has the log tell, for a time, which frames go to and from a user on this node. Events, ids, sizes and outcomes;
/// never what is in them.
/// </summary>
internal sealed class TraceModule(FrameTraces traces, AuditLog audit) : IAdminModule
{
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);
    private static readonly TimeSpan ByDefault = TimeSpan.FromMinutes(5);

    public void Map(IEndpointRouteBuilder admin)
    {
        admin.MapGet("/trace", (HttpContext http) => new AdminQuery(http).Refusal ?? TypedResults.Json(new TracesView(traces.All), AdminJson.Wire.TracesView)).WithSummary("Whose frames are traced.");
        admin.MapPut("/trace/{userId:guid}", Begin).WithSummary("Has the log tell a user's frames, without what is in them. ?for=hours:minutes:seconds");
        admin.MapDelete("/trace/{userId:guid}", End).WithSummary("Ends that.");
    }

    private IResult Begin(Guid userId, HttpContext http)
    {
        var query = new AdminQuery(http, "for");
        var lasting = query.Time("for", Shortest, Longest) ?? ByDefault;
        if (query.Refusal is { } refusal)
            return refusal;
        if (traces.TryBegin(userId, lasting, (told, leftOut) => audit.TraceExpired(userId, told, leftOut)) is not { } begun)
            return ChatError.LimitReached("userId", "So many users are traced already that no other one may be: end a trace.").ToProblem();
        audit.TraceBegan(http.OperatorAddress(), userId, begun.Until);
        return TypedResults.Json(begun, AdminJson.Wire.FrameTrace);
    }

    private IResult End(Guid userId, HttpContext http)
    {
        if (new AdminQuery(http).Refusal is { } refusal)
            return refusal;
        if (traces.TryEnd(userId) is not var (told, leftOut))
            return ChatError.NotFound("This user is not traced on this node.").ToProblem();
        audit.TraceEnded(http.OperatorAddress(), userId, told, leftOut);
        return TypedResults.NoContent();
    }
}

/// <summary>The answer of <c>GET /trace</c>.</summary>
/// <param name="Traces">Who is traced on this node.</param>
internal sealed record TracesView(IReadOnlyList<FrameTrace> Traces);
