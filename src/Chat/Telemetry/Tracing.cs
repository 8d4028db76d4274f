using System.Diagnostics;

namespace Chat.Telemetry;

/// <summary>
/// The server's spans. One trace follows a message: <c>message.send</c>, the frame or the request; <c>log.batch</c>, the
/// transaction that it shares with others (a child of the first one's trace, linked to the others'); <c>message.commit</c>,
/// its own part in that; <c>message.push</c>, on this node and on each other one that it goes to. While nobody listens,
/// nothing is made, kept or sent.
/// </summary>
internal static class Tracing
{
    /// <summary>The source's name.</summary>
    public const string Name = "Chat";

    private static readonly ActivitySource Source = new(Name);

    /// <summary>The span that is under way here, for work that another task goes on with; null while nobody listens.</summary>
    public static Activity? CurrentContext => Source.HasListeners() ? Activity.Current : null;

    /// <summary>An event of a client's.</summary>
    public static Activity? Event(string name) => Source.StartActivity(name, ActivityKind.Server);

    /// <summary>A transaction for several messages.</summary>
    /// <param name="spans">Where each came from, as far as that is traced.</param>
    public static Activity? Batch(IEnumerable<Activity?> spans)
    {
        if (!Source.HasListeners())
            return null;
        var all = spans.OfType<Activity>().Select(span => span.Context).ToArray();
        return all.Length == 0 ? null : Source.StartActivity("log.batch", ActivityKind.Internal, all[0], links: all.Skip(1).Select(context => new ActivityLink(context)));
    }

    /// <summary>One message's part in the transaction that is under way here, from its begin to what follows the commit.</summary>
    public static Activity? Commit(Activity? sent) => sent is null
        ? null
        : Source.StartActivity("message.commit", ActivityKind.Internal, sent.Context, startTime: Activity.Current?.StartTimeUtc ?? default);

    /// <summary>What is pushed because of what is under way here.</summary>
    public static Activity? Push() => CurrentContext is null ? null : Source.StartActivity("message.push", ActivityKind.Producer);

    /// <summary>What is pushed because of something on another node.</summary>
    /// <param name="origin">The other node's span (W3C's traceparent), if there is one.</param>
    public static Activity? Push(string? origin) =>
        origin is not null && ActivityContext.TryParse(origin, null, isRemote: true, out var parent) ? Source.StartActivity("message.push", ActivityKind.Consumer, parent) : null;
}
