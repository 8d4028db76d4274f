using System.Diagnostics;

namespace Chat.Telemetry;

/// <summary>
/// The server's spans. One trace follows a message: <c>message.send</c>, the frame or the request; <c>log.batch</c>, the
/// transaction shared with others (a child of the first one's trace, linked to the others'); <c>message.commit</c>, its part
/// of that; <c>message.push</c>, on this node and on each other one that it is delivered by. While nobody listens, nothing
/// is created, stored or sent.
/// </summary>
internal static class Tracing
{
    /// <summary>The source's name.</summary>
    public const string Name = "Chat";

    private static readonly ActivitySource Source = new(Name);

    /// <summary>The current span, for work that continues on another task; null while nobody listens.</summary>
    public static Activity? CurrentContext => Source.HasListeners() ? Activity.Current : null;

    /// <summary>Starts the span of a client's event.</summary>
    public static Activity? Event(string name) => Source.StartActivity(name, ActivityKind.Server);

    /// <summary>Starts the span of a transaction for several messages.</summary>
    /// <param name="spans">The spans of their sends, as far as traced.</param>
    public static Activity? Batch(IEnumerable<Activity?> spans)
    {
        if (!Source.HasListeners())
            return null;
        var all = spans.OfType<Activity>().Select(span => span.Context).ToArray();
        return all.Length == 0 ? null : Source.StartActivity(
            "log.batch", ActivityKind.Internal, all[0], links: all.Skip(1).Select(context => new ActivityLink(context)));
    }

    /// <summary>Starts the span of one message's part of the current transaction, including what follows the commit.</summary>
    public static Activity? Commit(Activity? sent) => sent is null
        ? null
        : Source.StartActivity("message.commit", ActivityKind.Internal, sent.Context, startTime: Activity.Current?.StartTimeUtc ?? default);

    /// <summary>Starts the span of a delivery caused by the current one.</summary>
    public static Activity? Push() => CurrentContext is null ? null : Source.StartActivity("message.push", ActivityKind.Producer);

    /// <summary>Starts the span of a delivery caused by another node.</summary>
    /// <param name="origin">The other node's span (W3C's traceparent), if any.</param>
    public static Activity? Push(string? origin) =>
        origin is not null && ActivityContext.TryParse(origin, null, isRemote: true, out var parent)
            ? Source.StartActivity("message.push", ActivityKind.Consumer, parent) : null;
}
