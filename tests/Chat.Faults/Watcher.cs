using System.Diagnostics;

namespace Chat.Faults;

/// <summary>Monitors the nodes: replies to pings, health and resources.</summary>
internal sealed class Watcher : IAsyncDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource stopping = new();
    private readonly Load load;
    private readonly Dictionary<ChatNode, Footprint> before;
    private readonly Task watching;

    public Watcher(Load load)
    {
        this.load = load;
        before = load.Nodes.ToDictionary(node => node, node => node.Footprint);
        watching = Task.WhenAll(load.Nodes.Select(node => Task.Run(() => PingAsync(node)))
            .Concat(load.Nodes.Select(node => Task.Run(() => LookAsync(node)))));
    }

    /// <summary>The slowest reply to a ping.</summary>
    public TimeSpan SlowestPing { get; private set; }

    /// <summary>Nodes that were not ready, with the failed checks.</summary>
    public Dictionary<string, string> Unready { get; } = [];

    /// <summary>How often a node was not live.</summary>
    public int Dead { get; private set; }

    /// <summary>The largest increase of a node's thread count since the start.</summary>
    public int MoreThreads { get; private set; }

    /// <summary>The largest increase of a node's memory since the start, in MB.</summary>
    public long MoreMegabytes { get; private set; }

    public async ValueTask DisposeAsync()
    {
        if (watching.IsCompleted)
            return;
        await stopping.CancelAsync();
        await watching;
        stopping.Dispose();
    }

    private async Task PingAsync(ChatNode node)
    {
        var user = new User(Guid.NewGuid(), $"watcher-{node.Port}");
        using var socket = await ClientSocket.OpenAsync(node, load.Handshakes, user.Name, user, Cluster.TokenFor(user),
            new Dictionary<Guid, long>(), load.Began, (_, _) => { }, Timeout)
            ?? throw new InvalidOperationException($"{node.Name} takes no connection.");
        while (!stopping.IsCancellationRequested && socket.Closing is null)
        {
            var began = Stopwatch.GetTimestamp();
            await socket.AskAsync("ping", new { }, Timeout);
            var took = Stopwatch.GetElapsedTime(began);
            lock (Unready)
                SlowestPing = took > SlowestPing ? took : SlowestPing;
            await PauseAsync();
        }

        await socket.LeaveAsync();
    }

    private async Task LookAsync(ChatNode node)
    {
        while (!stopping.IsCancellationRequested)
        {
            var live = await node.HealthAsync("live");
            var ready = await node.HealthAsync("ready");
            lock (Unready)
            {
                Dead += live.IsOk ? 0 : 1;
                if (!ready.IsOk)
                    Unready[node.Name] = ready.What;
                if (node.IsRunning)
                {
                    var now = node.Footprint;
                    MoreThreads = Math.Max(MoreThreads, now.Threads - before[node].Threads);
                    MoreMegabytes = Math.Max(MoreMegabytes, now.ResidentMegabytes - before[node].ResidentMegabytes);
                }
            }

            await PauseAsync();
        }
    }

    private Task PauseAsync() => Task.Delay(Every, stopping.Token).ContinueWith(_ => { }, TaskScheduler.Default);
}
