using System.Net;

namespace Chat.Bench.Load;

/// <summary>Handles the frames that a fleet's clients receive.</summary>
internal interface IFrameHandler
{
    /// <summary>A frame other than <c>auth_success</c> was received; the span is valid only during the call.</summary>
    void OnFrame(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now);
}

/// <summary>Ignores all frames.</summary>
internal sealed class NullFrameHandler : IFrameHandler
{
    public void OnFrame(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now)
    {
    }
}

/// <summary>
/// A set of clients that connect and stay connected. While connecting, a client that is rejected or times out retries as the
/// protocol requires: with exponential backoff from one second, and jitter.
/// </summary>
internal sealed class Fleet : IClientHandler, IDisposable
{
    private const int ClientsPerAddress = 20_000;
    private static readonly TimeSpan InitialBackoff = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxBackoff = TimeSpan.FromSeconds(16);

    private readonly EventLoop loop;
    private readonly Target target;
    private readonly IFrameHandler frames;
    private readonly Random random = new(1);
    private readonly int[] attempts;
    private readonly byte[][] upgrades;
    private readonly Func<int, int> nodeOf;
    private bool isReconnecting;

    /// <summary>Creates one client per upgrade request.</summary>
    public Fleet(EventLoop loop, Target target, IReadOnlyList<byte[]> upgrades, IFrameHandler frames, Func<int, int>? nodeOf = null)
    {
        (this.loop, this.target, this.frames) = (loop, target, frames);
        this.upgrades = [.. upgrades];
        this.nodeOf = nodeOf ?? (index => index);
        attempts = new int[upgrades.Count];
        Clients = [.. Enumerable.Range(0, upgrades.Count).Select(index => new WebSocketClient(loop, this, index))];
    }

    public WebSocketClient[] Clients { get; }

    /// <summary>The number of open connections.</summary>
    public int Open { get; private set; }

    /// <summary>The number of failed connection attempts.</summary>
    public int FailedAttempts { get; private set; }

    /// <summary>Open connections that were lost other than by <see cref="ReconnectAll"/>, counted by reason. Each is a failure.</summary>
    public Dictionary<string, int> LostConnections { get; } = [];

    /// <summary>Called with the time at which a client was authenticated.</summary>
    public Action<long>? Authenticated { get; set; }

    /// <summary>The reason of the latest failed attempt.</summary>
    public string LastFailure { get; private set; } = "";

    /// <summary>Connects all clients with limited concurrency, and returns when all are authenticated.</summary>
    public void ConnectAll(Progress progress, int maxConcurrency = 200)
    {
        isReconnecting = true;
        var next = 0;
        progress.SetPhase("connecting", () => $"{Open} of {Clients.Length}, {FailedAttempts} attempts failed");
        var isComplete = loop.Run(
            () =>
            {
                while (next < Clients.Length && next - Open < maxConcurrency)
                    Connect(next++);
                return Open == Clients.Length;
            },
            TimeSpan.FromMinutes(5));
        if (!isComplete)
            throw new BenchException($"Only {Open} of {Clients.Length} clients connected. Last failure: {LastFailure}");
        isReconnecting = false;
    }

    /// <summary>Aborts every connection, and lets each client reconnect at a random time within the spread.</summary>
    public void ReconnectAll(TimeSpan spread)
    {
        isReconnecting = true;
        Open = 0;
        Array.Clear(attempts);
        var now = EventLoop.Now;
        foreach (var client in Clients)
        {
            client.Abort();
            loop.Schedule(now + (long)(random.NextDouble() * EventLoop.ToTicks(spread)), _ => Connect(client.Index));
        }
    }

    public void OnOpened(WebSocketClient client, long now)
    {
        Open++;
        Authenticated?.Invoke(now);
    }

    public void OnReceived(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now) =>
        frames.OnFrame(client, kind, frame, now);

    public void OnClosed(WebSocketClient client, bool wasOpen, string reason)
    {
        Open -= wasOpen ? 1 : 0;
        if (wasOpen || !isReconnecting)
            LostConnections[reason] = LostConnections.GetValueOrDefault(reason) + 1;
        if (!isReconnecting)
            return;

        FailedAttempts += wasOpen ? 0 : 1;
        LastFailure = reason;
        var backoff = Math.Min(MaxBackoff.TotalSeconds, InitialBackoff.TotalSeconds * Math.Pow(2, attempts[client.Index]++));
        loop.Schedule(
            EventLoop.Now + EventLoop.ToTicks(TimeSpan.FromSeconds(backoff * (0.5 + random.NextDouble()))), _ => Connect(client.Index));
    }

    /// <summary>Aborts all connections.</summary>
    public void Dispose()
    {
        foreach (var client in Clients)
            client.Abort();
    }

    // A pair of addresses allows some 28,000 connections, one per ephemeral port: more clients need more source addresses.
    private void Connect(int index) => Clients[index].Connect(
        target.EndPointOf(nodeOf(index)), target.IsLocal ? new IPAddress([127, 0, 0, (byte)(1 + (index / ClientsPerAddress))]) : null,
        upgrades[index]);
}
