using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Features;

/// <summary>Two nodes whose clock stands still until a test advances it.</summary>
public sealed class TypingTests : IAsyncLifetime
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(250);
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();
    private TwoNodes nodes = null!;
    private SocketClient atAlice = null!;
    private SocketClient atBob = null!;
    private Guid conversation;

    public async Task InitializeAsync()
    {
        nodes = await TwoNodes.Start(fakeClock: true);
        conversation = await nodes.One.OpenDirect(alice, bob);
        atAlice = await nodes.One.Connect(alice);
        atBob = await nodes.Two.Connect(bob);
    }

    public async Task DisposeAsync()
    {
        await atAlice.DisposeAsync();
        await atBob.DisposeAsync();
        await nodes.DisposeAsync();
    }

    [Fact]
    public async Task Typing_expires_six_seconds_after_the_last_start()
    {
        await atAlice.StartTyping(conversation);
        Assert.True(await atBob.NextTyping());
        await Pass(4);
        await atAlice.StartTyping(conversation);
        await Pass(5.75);
        Assert.Equal(1, Updates(atBob));

        await Pass(0.5);
        Assert.False(await atBob.NextTyping());
        await Ends(updates: 2);
    }

    [Fact]
    public async Task Typing_ends_with_the_connection()
    {
        await atAlice.StartTyping(conversation);
        Assert.True(await atBob.NextTyping());
        await Pass(2);

        atAlice.Cut();
        await Eventually.Until("the node has seen it", () => nodes.One.Hub().ConnectionsOf(alice.Id).Count == 0);
        await Until(() => Updates(atBob) == 2, (bob, atBob));
        Assert.False(await atBob.NextTyping());
    }

    [Fact]
    public async Task Typing_after_a_message_is_shown_again()
    {
        await atAlice.StartTyping(conversation);
        Assert.True(await atBob.NextTyping());
        await atAlice.StopTyping(conversation);
        await atAlice.StartTyping(conversation);
        await nodes.Settle((alice, atAlice), (bob, atBob));
        Assert.Equal(1, Updates(atBob));

        await Pass(2.25);
        Assert.True(await atBob.NextTyping());
        await Pass(6.25);
        Assert.False(await atBob.NextTyping());
        await Ends(updates: 3);
    }

    [Fact]
    public async Task Updates_are_sent_at_most_once_in_two_seconds_and_end_with_the_current_state()
    {
        for (var i = 0; i < 20; i++)
        {
            await atAlice.StartTyping(conversation);
            await atAlice.StopTyping(conversation);
        }

        await nodes.Settle((alice, atAlice), (bob, atBob));
        Assert.Equal(1, Updates(atBob));
        Assert.True(await atBob.NextTyping());

        await Pass(2.25);
        Assert.False(await atBob.NextTyping());
        await Ends(updates: 2);
    }

    [Fact]
    public async Task Continued_typing_sends_no_further_updates()
    {
        for (var i = 0; i < 4; i++)
        {
            await atAlice.StartTyping(conversation);
            await Pass(2.5);
        }

        await Ends(updates: 1);
    }

    [Fact]
    public async Task Adding_and_removing_a_block_hides_and_shows_typing_at_once()
    {
        await atAlice.StartTyping(conversation);
        Assert.True(await atBob.NextTyping());

        // Bob's node must notify Alice's, which must hide it before she stops.
        await atBob.Block(alice);
        await Pass(0.5);
        await Until(() => Updates(atBob) == 2, (alice, atAlice), (bob, atBob));
        Assert.False(await atBob.NextTyping());
        await Pass(2.25);
        await atAlice.StopTyping(conversation);
        await Pass(2.25);
        await atAlice.StartTyping(conversation);
        await atBob.StartTyping(conversation);
        await Pass(2.25);
        await Ends(updates: 2);
        Assert.Equal(0, Updates(atAlice));
    }

    [Fact]
    public async Task Typing_is_shown_again_after_the_block()
    {
        await atBob.Block(alice);
        await atBob.Unblock(alice);
        await nodes.Settle((alice, atAlice), (bob, atBob));

        await atAlice.StartTyping(conversation);

        Assert.True(await atBob.NextTyping());
        await Ends(updates: 1);
    }

    [Fact]
    public async Task Typing_is_only_accepted_from_members()
    {
        await using var atStranger = await nodes.One.Connect(ChatApp.NewUser());

        var foreign = await atStranger.Ask("typing.start", new { conversationId = conversation });
        var missing = await atStranger.Ask("typing.start", new { conversationId = Guid.NewGuid() });
        var none = await atStranger.Ask("typing.stop", new { });

        Assert.Equal(("error", "FORBIDDEN"), (foreign.Type, foreign.Text("code")));
        Assert.Equal(foreign.Payload.GetRawText(), missing.Payload.GetRawText());
        Assert.Equal(("VALIDATION_ERROR", "conversationId"), (none.Text("code"), none.Text("field")));
        await Ends(updates: 0);
    }

    private static int Updates(SocketClient client) => client.Frames.Count(frame => frame.Type == "typing.update");

    // Advances the clock in steps that no timer misses.
    private async Task Pass(double seconds)
    {
        for (var passed = TimeSpan.Zero; passed < TimeSpan.FromSeconds(seconds); passed += Tick)
        {
            nodes.One.Clock!.Advance(Tick);
            await nodes.Settle((alice, atAlice), (bob, atBob));
        }
    }

    // The same, repeated until the condition holds.
    private Task Until(Func<bool> condition, params (TestUser User, SocketClient Client)[] here) => Eventually.UntilNoError(async () =>
    {
        nodes.One.Clock!.Advance(Tick);
        await nodes.Settle(here);
        return condition() ? null : "It is not told.";
    });

    private async Task Ends(int updates)
    {
        await nodes.Settle((alice, atAlice), (bob, atBob));
        Assert.Equal(updates, Updates(atBob));
    }
}
