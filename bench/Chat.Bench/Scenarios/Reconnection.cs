using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>All connections of a fleet are cut at once, and reconnect as the protocol requires.</summary>
internal sealed class Reconnection
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMinutes(3);
    private readonly Fleet fleet;
    private readonly List<double> reconnected;
    private readonly int failedBefore;
    private bool isComplete;

    private Reconnection(Fleet fleet) =>
        (this.fleet, reconnected, failedBefore) = (fleet, new List<double>(fleet.Clients.Length), fleet.FailedAttempts);

    private int Failed => fleet.FailedAttempts - failedBefore;

    /// <summary>Cuts the connections.</summary>
    public static Reconnection Start(Fleet fleet, TimeSpan spread, Progress progress)
    {
        var (reconnection, start) = (new Reconnection(fleet), EventLoop.Now);
        fleet.Authenticated =
            now => reconnection.reconnected.Add((now - start) / (double)EventLoop.ToTicks(TimeSpan.FromSeconds(1)));
        progress.SetPhase(
            "reconnecting", () => $"{fleet.Open} of {fleet.Clients.Length} reconnected, {reconnection.Failed} attempts failed");
        fleet.ReconnectAll(spread);
        return reconnection;
    }

    /// <summary>Runs the loop until all are connected again, or the time is up.</summary>
    public void Run(EventLoop loop) => isComplete = loop.Run(() => fleet.Open == fleet.Clients.Length, Timeout);

    /// <summary>Adds how long it took, and what failed.</summary>
    public void AddTo(Report report)
    {
        foreach (var percent in new[] { 50, 95, 100 })
            report.Add($"{percent} % back", reconnected.ElementAtOrDefault((fleet.Clients.Length * percent / 100) - 1), "s");
        report.Add("tries refused", Failed, "");
        report.Faults.AddRange(fleet.LostConnections.Select(loss => $"{loss.Value} connections were lost: {loss.Key}"));
        if (!isComplete)
            report.Faults.Add($"Only {fleet.Open} of {fleet.Clients.Length} reconnected. Last failure: {fleet.LastFailure}");
    }
}
