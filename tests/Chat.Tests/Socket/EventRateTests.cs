using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>The rate limit of a connection's events other than sends.</summary>
public sealed class EventRateTests
{
    [Fact]
    public async Task A_flood_of_any_event_is_throttled_and_does_not_delay_sends()
    {
        await using var app = await ChatApp.Start(new() { ["Limits:EventsPerSecond"] = "3" }, fakeClock: true);
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        await using var other = await app.Connect(alice);
        await atAlice.Next("status.bulk");

        await atAlice.Ask("ping", new { });
        await atAlice.Ask("sync", new { conversations = new { } });
        await atAlice.Ask("message.read", new { conversationId = conversation });
        await atAlice.Send("message.delivered", new { conversationId = conversation, upTo = 1 });
        await atAlice.Send("typing.start", new { conversationId = conversation });
        await atAlice.Ask("auth", new { token = app.TokenFor(alice) });

        foreach (var type in (string[])[
            "ping", "sync", "message.read", "message.delivered", "typing.start", "typing.stop", "block.add", "auth"])
        {
            var refused = (await atAlice.Ask(type, new { })).IsError("RATE_LIMITED");
            Assert.Equal((334, true), (refused.Number("retryAfterMs"), refused.Flag("retryable")));
        }

        Assert.Equal("message.sent", (await atAlice.SendMessage(conversation, "a send has a bound of its own")).Type);
        await other.Settle();
        app.Clock!.Advance(TimeSpan.FromMilliseconds(334));
        Assert.Equal("pong", (await atAlice.Ask("ping", new { })).Type);
    }
}
