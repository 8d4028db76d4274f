using Chat.Features;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Socket;

/// <summary>Pings, silent clients and slow readers, on real connections with short limits.</summary>
public sealed class HeartbeatTests
{
    // Few enough at a time that no reader's queue overflows, including the sender's with its own replies.
    private const int Batch = 40;
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task Clients_that_answer_pings_stay_and_others_are_closed_with_4412()
    {
        await using var app = await ChatApp.Start(
            new() { ["Limits:PingInterval"] = "00:00:01", ["Limits:PingTimeout"] = "00:00:04" }, fakeClock: true, onKestrel: true);
        using var answers = await RawSocket.Connect(app, alice);
        using var silent = await RawSocket.Connect(app, bob);

        var silence = silent.Closed();
        var pings = 0;
        while (!silence.IsCompleted)
        {
            app.Clock!.Advance(TimeSpan.FromSeconds(1));
            var ping = await answers.Next(RawFrame.Ping);
            await answers.Send(RawSocket.Frame(RawFrame.Pong, ping.Payload));
            pings++;
        }

        Assert.Equal(4412, await silence);
        // Longer than the timeout.
        Assert.InRange(pings, 4, int.MaxValue);
        await answers.Send(RawSocket.TextFrame("""{"type":"ping","payload":{}}"""));
        await answers.Next("pong");
    }

    [Fact]
    public async Task Pings_are_sent_at_the_interval_even_to_active_clients()
    {
        await using var app = await ChatApp.Start(fakeClock: true, onKestrel: true);
        using var socket = await RawSocket.Connect(app, alice);
        var connection = Hub(app).ConnectionsOf(alice.Id).Single();
        List<int> pings = [];

        for (var second = 1; second <= 95; second++)
        {
            app.Clock!.Advance(TimeSpan.FromSeconds(1));
            // Like the heartbeat, which this test does not wait for.
            connection.EnforceTimeouts();
            await socket.Send(RawSocket.TextFrame("""{"type":"ping"}"""));
            while (await socket.Next() is { Type: not "pong" } frame)
            {
                if (frame.Opcode == RawFrame.Ping)
                    pings.Add(second);
            }
        }

        Assert.Equal([30, 60, 90], pings.Distinct());
    }

    [Fact]
    public async Task A_closed_client_that_does_not_answer_is_aborted()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:CloseTimeout"] = "00:00:01" }, onKestrel: true);
        using var socket = await RawSocket.Connect(app, alice);
        await socket.Send(RawSocket.TextFrame("""{"type":"auth","payload":{"token":"bad"}}"""));

        Assert.Equal(4501, await socket.Closed());

        // RawSocket never answers: the server ends the connection.
        Assert.Null(await socket.Next());
        await Eventually.Until("the hub has forgotten the connection", () => Hub(app).Count == 0);
    }

    [Fact]
    public async Task A_client_that_does_not_read_is_closed_with_4408_without_delaying_others()
    {
        // The buffers of system and server hold some 400 of these, the queue some 100 more.
        const int Flood = 1000;
        // Only the queue limit can close this reader.
        await using var app =
            await ChatApp.Start(new() { ["Limits:WriteTimeout"] = "00:05:00", ["Limits:CloseTimeout"] = "00:05:00" }, onKestrel: true);
        var conversation = await app.OpenDirect(alice, bob);
        using var slow = await RawSocket.Connect(app, bob, receiveBuffer: 4096);
        await using var healthy = await app.Connect(bob);
        await using var sender = await app.Connect(alice);

        for (var seq = 1; seq <= Flood;)
        {
            await Send(sender, conversation, Batch, content: new string('x', 4000));
            for (var i = 0; i < Batch; i++, seq++)
                Assert.Equal(seq, (await healthy.NextMessage()).Number("message.seq"));
        }

        // It finally reads: what was in flight, and then the reason for the close.
        Assert.Equal(4408, await slow.Closed());
    }

    [Fact]
    public async Task A_write_that_does_not_finish_is_aborted()
    {
        // No limit but the write timeout.
        await using var app = await ChatApp.Start(
            new()
            {
                // Real time, because the flood is real, and longer than a busy machine delays clients that do read.
                ["Limits:WriteTimeout"] = "00:00:03",
                ["Limits:SendQueueEvents"] = "1000000",
                ["Limits:SendQueueBytes"] = "1000000000",
            },
            onKestrel: true);
        var conversation = await app.OpenDirect(alice, bob);
        using var stuck = await RawSocket.Connect(app, bob, receiveBuffer: 4096);
        await using var sender = await app.Connect(alice);

        // The buffers in between depend on the system: write until the connection is aborted.
        for (var batch = 0; batch < 50 && Hub(app).ConnectionsOf(bob.Id).Count > 0; batch++)
            await Send(sender, conversation, Batch, content: new string('x', 4000));

        await Eventually.Until("the stuck connection is cut", () => Hub(app).ConnectionsOf(bob.Id).Count == 0);
        Assert.Single(Hub(app).ConnectionsOf(alice.Id));
        await sender.Settle();
    }

    private static async Task Send(SocketClient sender, Guid conversation, int count, string content)
    {
        for (var i = 1; i < count; i++)
            await sender.Send("message.send", new { conversationId = conversation, content });
        Assert.Equal("message.sent", (await sender.SendMessage(conversation, content)).Type);
    }

    private static Hub Hub(ChatApp app) => app.Services.GetRequiredService<Hub>();
}
