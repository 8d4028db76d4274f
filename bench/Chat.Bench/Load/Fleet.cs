using System.Net;

namespace Chat.Bench.Load;

/// <summary>Hears the frames of a fleet's clients.</summary>
internal interface IFrameHandler
{
    /// <summary>A frame that is not the fleet's own affair; good until this returns.</summary>
    void OnFrame(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now);
}

/// <summary>Leaves the frames unread.</summary>
internal sealed class NullFrameHandler : IFrameHandler
{
    public void OnFrame(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now)
    {
    }
}

/// <summary>
/// Many clients that are to be connected, and stay so. One that is refused, or not let in in time, comes back after a
/// while, as the protocol asks of clients: with a back-off that doubles from one second, and jitter.
/// </summary>
internal sealed class Fleet : IClientHandler, IDisposable
{
    private const int PerSource = 20_000;
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(16);

    private readonly EventLoop loop;
    private readonly Target target;
    private readonly IFrameHandler frames;
    private readonly Random chance = new(1);
    private readonly int[] tries;
    private readonly byte[][] upgrades;
    private readonly Func<int, int> nodeOf;
    private bool isReconnecting;

    /// <summary>Makes the clients; each has the handshake of its index.</summary>
    public Fleet(EventLoop loop, Target target, IReadOnlyList<byte[]> upgrades, IFrameHandler frames, Func<int, int>? nodeOf = null)
    {
        (this.loop, this.target, this.frames) = (loop, target, frames);
        this.upgrades = [.. upgrades];
        this.nodeOf = nodeOf ?? (index => index);
        tries = new int[upgrades.Count];
        Clients = [.. Enumerable.Range(0, upgrades.Count).Select(index => new WebSocketClient(loop, this, index))];
    }

    public WebSocketClient[] Clients { get; }

    /// <summary>How many are connected.</summary>
    public int Open { get; private set; }

    /// <summary>Tries that did not succeed.</summary>
    public int FailedAttempts { get; private set; }

    /// <summary>What became of connections that were there already, and not cut by us: none of it should happen.</summary>
    public Dictionary<string, int> LostConnections { get; } = [];

    /// <summary>Called with each client that is let in, and when.</summary>
    public Action<long>? ConnectionOpened { get; set; }

    /// <summary>Why the latest try did not succeed.</summary>
    public string LastFailure { get; private set; } = "";

    /// <summary>Connects all, at most so many at a time, and returns when they are let in.</summary>
    public void ConnectAll(Progress progress, int atOnce = 200)
    {
        isReconnecting = true;
        var next = 0;
        progress.SetPhase("connecting", () => $"{Open} of {Clients.Length}, {FailedAttempts} tries refused");
        var isComplete = loop.Run(
            () =>
            {
                while (next < Clients.Length && next - Open < atOnce)
                    Connect(next++);
                return Open == Clients.Length;
            },
            TimeSpan.FromMinutes(5));
        if (!isComplete)
            throw new BenchException($"Only {Open} of {Clients.Length} clients came in. The latest refusal: {LastFailure}");
        isReconnecting = false;
    }

    /// <summary>Drops every connection without a word, and lets each come back at a moment of its own within the spread.</summary>
    public void ReconnectAll(TimeSpan spread)
    {
        isReconnecting = true;
        Open = 0;
        Array.Clear(tries);
        var now = EventLoop.Now;
        foreach (var client in Clients)
        {
            client.Abort();
            loop.Schedule(now + (long)(chance.NextDouble() * EventLoop.ToTicks(spread)), _ => Connect(client.Index));
        }
    }

    public void ConnectionOpened(WebSocketClient client, long now)
    {
        Open++;
        OnOpened?.Invoke(now);
    }

    public void OnReceived(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now) => frames.OnFrame(client, kind, frame, now);

    public void OnClosed(WebSocketClient client, bool wasOpen, string reason)
    {
        Open -= wasOpen ? 1 : 0;
        if (wasOpen || !isReconnecting)
            LostConnections[reason] = LostConnections.GetValueOrDefault(reason) + 1;
        if (!isReconnecting)
            return;

        FailedAttempts += wasOpen ? 0 : 1;
        LastFailure = reason;
        var backOff = Math.Min(LongestBackOff.TotalSeconds, FirstBackOff.TotalSeconds * Math.Pow(2, tries[client.Index]++));
        loop.Schedule(EventLoop.Now + EventLoop.ToTicks(TimeSpan.FromSeconds(backOff * (0.5 + chance.NextDouble()))), _ => Connect(client.Index));
    }

    /// <summary>Lets all go at the end; no owner is told.</summary>
    public void Dispose()
    {
        foreach (var client in Clients)
            client.Abort();
    }

    // A pair of addresses has some 28,000 ports to tell its connections apart: more clients need more addresses.
    private void Connect(int index) => Clients[index].Connect(
        target.EndPointOf(nodeOf(index)), target.IsLocal ? new IPAddress([127, 0, 0, (byte)(1 + (index / PerSource))]) : null, upgrades[index]);
}
