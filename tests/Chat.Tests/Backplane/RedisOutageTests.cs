using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Features;
using Chat.Tests.Fixtures;
using StackExchange.Redis;
using Xunit.Abstractions;

namespace Chat.Tests.Backplane;

/// <summary>
/// Redis is killed under load and restarted empty; messages must keep flowing. CHAT_TEST_LONG=1 makes the outage thirty
/// seconds long.
/// </summary>
public sealed class RedisOutageTests(ITestOutputHelper output)
{
    private const int PairsOfEachKind = 4;
    private static readonly bool IsLong = Environment.GetEnvironmentVariable("CHAT_TEST_LONG") == "1";
    private static readonly TimeSpan Outage = TimeSpan.FromSeconds(IsLong ? 30 : 8);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(50);

    [RedisFact]
    public async Task A_Redis_outage_fails_no_send_and_delivers_everything_once_within_five_seconds()
    {
        await using var redis = await RedisServer.Start();
        await using var nodes = await TwoNodes.Start(redis.ConnectionString);
        var pairs = new List<Pair>();
        for (var i = 0; i < PairsOfEachKind * 2; i++)
            pairs.Add(await Pair.Meet(nodes.One, i % 2 == 0 ? nodes.One : nodes.Two, isOneWay: i % 4 == 3));
        var (watcher, leaver, comer) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        foreach (var watched in (TestUser[])[leaver, comer])
            await nodes.One.OpenDirect(watcher, watched);
        await using var atWatcher = await nodes.One.Connect(watcher);
        var atLeaver = await nodes.Two.Connect(leaver);
        await atWatcher.Next("user.online");

        using var ending = new CancellationTokenSource();
        var talking = pairs.Select(pair => pair.Talk(Pace, ending.Token)).ToArray();
        await Eventually.After(TimeSpan.FromSeconds(2));
        var killedAt = Stopwatch.GetTimestamp();
        await redis.Kill();
        await using var atComer = await nodes.Two.Connect(comer);
        await atLeaver.Leave();
        await Eventually.After(Outage - Stopwatch.GetElapsedTime(killedAt));
        await redis.StartAgain();
        var startedAt = Stopwatch.GetTimestamp();

        Assert.Equal(comer.Id, (await atWatcher.Next("user.online")).Id("userId"));
        Assert.Equal(leaver.Id, (await atWatcher.Next("user.offline")).Id("userId"));
        var presenceAfter = Stopwatch.GetElapsedTime(startedAt);
        var told = await nodes.One.Presence(watcher, leaver, comer);
        Assert.Equal((false, true), (told[leaver.Id].IsOnline(), told[comer.Id].IsOnline()));
        foreach (var pair in pairs)
            await Eventually.Until("both of a pair are online again", () => IsHeld(pair.Alice) && IsHeld(pair.Bob));
        Assert.InRange(presenceAfter.TotalSeconds, 0, 15);

        await ending.CancelAsync();
        await Task.WhenAll(talking);
        foreach (var pair in pairs)
            await pair.Ends(nodes.Two);
        Assert.InRange(Stopwatch.GetElapsedTime(startedAt).TotalSeconds, 0, 15);

        foreach (var (name, own) in ((string, Pair[])[])[("same node", [.. pairs.Where((_, i) => i % 2 == 0)]), ("cross-node",
            [.. pairs.Where((pair, i) => i % 2 == 1 && !pair.IsOneWay)]), ("cross-node, one way", [.. pairs.Where(pair => pair.IsOneWay)])])
        {
            var before = Latencies.Of(own.SelectMany(pair => pair.Delivered(0, killedAt)));
            var during = Latencies.Of(own.SelectMany(pair => pair.Delivered(killedAt, startedAt)));
            var after = Latencies.Of(own.SelectMany(pair => pair.Delivered(startedAt, long.MaxValue)));
            output.WriteLine($"{name}: before {before}; without Redis {during}; after {after}");
            Assert.NotEqual(0, during.Count);
            Assert.InRange(during.Max.TotalSeconds, 0, 5);
            Assert.InRange(after.Max.TotalSeconds, 0, 5);
            if (name == "same node")
                Assert.InRange(during.P99.TotalSeconds, 0, 1);
        }

        output.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"presence right {presenceAfter.TotalSeconds:F1} s after Redis was back"));
        foreach (var pair in pairs)
            await pair.DisposeAsync();
        await atLeaver.DisposeAsync();

        // The client library may have reconnected without marking the connection as usable yet.
        bool IsHeld(TestUser user)
        {
            try
            {
                return nodes.One.HeldLeases(user) == 1;
            }
            catch (Exception failure) when (failure is RedisException or TimeoutException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task Many_concurrent_reconnects_lose_no_message()
    {
        var crowd = Enumerable.Range(0, IsLong ? 1000 : 300).Select(_ => ChatApp.NewUser()).ToArray();
        await using var nodes = await TwoNodes.Start();
        var pairs = new List<Pair>();
        for (var i = 0; i < 20; i++)
            pairs.Add(await Pair.Meet(nodes.One, i % 2 == 0 ? nodes.One : nodes.Two));
        // Every user of the crowd has a contact who must be notified.
        for (var i = 1; i < crowd.Length; i += 2)
            await nodes.One.OpenDirect(crowd[i - 1], crowd[i]);
        var clients = await ConnectAll();

        using var ending = new CancellationTokenSource();
        var talking = pairs.Select(pair => pair.Talk(Pace * 2, ending.Token)).ToArray();
        await Eventually.After(TimeSpan.FromSeconds(3));
        var cutAt = Stopwatch.GetTimestamp();
        foreach (var client in clients)
            client.Cut();
        var back = await ConnectAll();
        await Task.WhenAll(back.Select(client => client.Settle()));
        var backAt = Stopwatch.GetTimestamp();
        await ending.CancelAsync();
        await Task.WhenAll(talking);
        foreach (var pair in pairs)
            await pair.Ends(nodes.Two);

        output.WriteLine($"before: {Latencies.Of(pairs.SelectMany(pair => pair.Delivered(0, cutAt)))}");
        output.WriteLine($"while {crowd.Length} came back: {Latencies.Of(pairs.SelectMany(pair => pair.Delivered(cutAt, backAt)))}");
        output.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"all back after {Stopwatch.GetElapsedTime(cutAt, backAt).TotalSeconds:F1} s"));
        foreach (var client in (SocketClient[])[.. clients, .. back])
            await client.DisposeAsync();
        foreach (var pair in pairs)
            await pair.DisposeAsync();

        Task<SocketClient[]> ConnectAll() => Task.WhenAll(crowd.Select((user, i) => (i % 2 == 0 ? nodes.One : nodes.Two).Connect(user)));
    }
}

/// <summary>
/// Two users, of whom one or both send continuously. If both do, the sequence numbers reveal what a node has missed; if one
/// does, only the journal does.
/// </summary>
internal sealed class Pair : IAsyncDisposable
{
    private readonly SocketClient atAlice;
    private readonly SocketClient atBob;
    private readonly Guid conversation;
    private readonly ConcurrentDictionary<string, long> sentAt = new();
    private int fromAlice;
    private int fromBob;

    private Pair(SocketClient atAlice, SocketClient atBob, TestUser alice, TestUser bob, Guid conversation, bool isOneWay) =>
        (this.atAlice, this.atBob, Alice, Bob, this.conversation, IsOneWay) = (atAlice, atBob, alice, bob, conversation, isOneWay);

    public bool IsOneWay { get; }

    public TestUser Alice { get; }

    public TestUser Bob { get; }

    public static async Task<Pair> Meet(ChatApp hers, ChatApp his, bool isOneWay = false)
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await hers.OpenDirect(alice, bob);
        return new Pair(await hers.Connect(alice), await his.Connect(bob), alice, bob, conversation, isOneWay);
    }

    /// <summary>Sends messages in a row at this interval; each must be acknowledged.</summary>
    public Task Talk(TimeSpan pace, CancellationToken ending) => Task.WhenAll(
        SayAll(atAlice, "alice", () => fromAlice++, pace, ending),
        IsOneWay ? Task.CompletedTask : SayAll(atBob, "bob", () => fromBob++, pace, ending));

    /// <summary>Returns the latencies of the messages sent in an interval.</summary>
    public IEnumerable<TimeSpan> Delivered(long from, long to) =>
        from frame in atAlice.Frames.Concat(atBob.Frames)
        where frame.Type == "message.new"
        let sent = sentAt[frame.Text("message.content")]
        where sent >= @from && sent < to
        select Stopwatch.GetElapsedTime(sent, frame.ArrivedAt);

    /// <summary>Asserts that everything has arrived, once, in the same order for both, with correct unread counts.</summary>
    public async Task Ends(ChatApp node)
    {
        await Eventually.Until("everything has arrived", () => Arrived(atAlice).Count() >= fromBob && Arrived(atBob).Count() >= fromAlice);
        await Task.WhenAll(atAlice.Settle(), atBob.Settle());
        Assert.Equal(
            Enumerable.Range(0, fromBob).Select(i => $"bob-{i}"), Arrived(atAlice).Select(frame => frame.Text("message.content")));
        Assert.Equal(
            Enumerable.Range(0, fromAlice).Select(i => $"alice-{i}"), Arrived(atBob).Select(frame => frame.Text("message.content")));
        foreach (var client in (SocketClient[])[atAlice, atBob])
            Assert.Equal(Enumerable.Range(1, fromAlice + fromBob).Select(seq => (long)seq),
                client.Frames.Where(frame => frame.Type == "conversation.updated").Select(frame => frame.Number("seq")));
        foreach (var (user, client, unread) in ((TestUser, SocketClient, long)[])[(Alice, atAlice, fromBob), (Bob, atBob, fromAlice)])
        {
            Assert.Equal(unread, client.Frames.LastOrDefault(frame => frame.Type == "notification.unread")?.Number("totalUnread") ?? 0);
            Assert.Equal(
                unread, (await node.Http(user).GetFromJsonAsync<JsonElement>("/chat/unread")).Number("totalUnread"));
        }

        Assert.Equal(fromAlice + fromBob, (await node.History(Alice, conversation)).Count);
    }

    public async ValueTask DisposeAsync()
    {
        await atAlice.DisposeAsync();
        await atBob.DisposeAsync();
    }

    private static IEnumerable<Received> Arrived(SocketClient client) => client.Frames.Where(frame => frame.Type == "message.new");

    private async Task SayAll(SocketClient client, string name, Func<int> next, TimeSpan pace, CancellationToken ending)
    {
        while (!ending.IsCancellationRequested)
        {
            var content = $"{name}-{next()}";
            sentAt[content] = Stopwatch.GetTimestamp();
            var answer = await client.SendMessage(conversation, content, content);
            Assert.Equal("message.sent", answer.Type);
            await Eventually.After(pace, ending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}

/// <summary>Percentiles of a set of latencies.</summary>
internal sealed record Latencies(int Count, TimeSpan P50, TimeSpan P99, TimeSpan Max)
{
    public static Latencies Of(IEnumerable<TimeSpan> measured)
    {
        var sorted = measured.Order().ToArray();
        return sorted.Length == 0 ? new(0, default, default, default)
            : new(sorted.Length, sorted[sorted.Length / 2], sorted[sorted.Length * 99 / 100], sorted[^1]);
    }

    public override string ToString() =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Count} messages, p50 {P50.TotalMilliseconds:F1} ms, p99 {P99.TotalMilliseconds:F1} ms, latest {Max.TotalMilliseconds:F0} ms");
}
