using Chat.Rest;
using Chat.Socket;
using Chat.Telemetry;

namespace Chat.Admin;

/// <summary>
/// <c>/trace/{userId}</c>: logs the frames of a user's connections to this node for a limited time. Events, ids, sizes and outcomes;
/// never the content.
/// </summary>
internal sealed class TraceModule(FrameTraces traces, AuditLog audit) : IAdminModule
{
    private static readonly TimeSpan MinDuration = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxDuration = TimeSpan.FromHours(1);
    private static readonly TimeSpan DefaultDuration = TimeSpan.FromMinutes(5);

    public void Map(IEndpointRouteBuilder admin)
    {
        admin.MapGet("/trace", (HttpContext http) => new AdminQuery(http).Refusal
            ?? TypedResults.Json(new TracesView(traces.All), AdminJson.Wire.TracesView)).WithSummary("Lists the traced users.");
        admin.MapPut("/trace/{userId:guid}", Begin).WithSummary("Logs a user's frames, without their content. ?for=hours:minutes:seconds");
        admin.MapDelete("/trace/{userId:guid}", End).WithSummary("Stops a trace.");
    }

    private IResult Begin(Guid userId, HttpContext http)
    {
        var query = new AdminQuery(http, "for");
        var duration = query.Time("for", MinDuration, MaxDuration) ?? DefaultDuration;
        if (query.Refusal is { } refusal)
            return refusal;
        if (traces.TryBegin(userId, duration, (logged, omitted) => audit.TraceExpired(userId, logged, omitted)) is not { } trace)
            return ChatError.LimitReached("userId", "Too many users are traced; stop a trace first.").ToProblem();
        audit.TraceBegan(http.OperatorAddress(), userId, trace.Until);
        return TypedResults.Json(trace, AdminJson.Wire.FrameTrace);
    }

    private IResult End(Guid userId, HttpContext http)
    {
        if (new AdminQuery(http).Refusal is { } refusal)
            return refusal;
        if (traces.TryEnd(userId) is not var (logged, omitted))
            return ChatError.NotFound("The user is not traced on this node.").ToProblem();
        audit.TraceEnded(http.OperatorAddress(), userId, logged, omitted);
        return TypedResults.NoContent();
    }
}

/// <summary>The response of <c>GET /trace</c>.</summary>
/// <param name="Traces">The traced users.</param>
internal sealed record TracesView(IReadOnlyList<FrameTrace> Traces);
