using Chat.Tests.Fixtures;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Socket;

/// <summary>Connection timeouts, on a clock that the test advances.</summary>
public sealed class TimeOutTests(SharedClock shared) : IClassFixture<SharedClock>
{
    private readonly ChatApp app = shared.App;
    private readonly FakeTimeProvider clock = shared.App.Clock!;
    private readonly TestUser alice = ChatApp.NewUser();

    [Fact]
    public async Task Without_a_token_the_connection_closes_with_4502_after_ten_seconds()
    {
        await using var silent = await app.Open();
        await using var witness = await app.Connect(alice);
        clock.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal("UNAUTHORIZED", (await silent.Ask("ping", new { })).Text("code"));

        clock.Advance(TimeSpan.FromSeconds(1));

        // It did not send a token: errors do not extend the timeout.
        Assert.Equal(4502, await silent.Closed());
        await witness.Settle();
    }

    [Fact]
    public async Task A_token_in_the_ninth_second_is_in_time()
    {
        await using var client = await app.Open();
        clock.Advance(TimeSpan.FromSeconds(9));
        await client.Send("auth", new { token = app.TokenFor(alice) });
        await client.Next("auth_success");

        clock.Advance(TimeSpan.FromSeconds(5));

        await client.Settle();
    }

    [Fact]
    public async Task An_expired_token_closes_with_4401_within_five_seconds()
    {
        await using var client = await app.Open(bearer: app.TokenFor(alice, TimeSpan.FromSeconds(30)));
        await client.Next("auth_success");
        clock.Advance(TimeSpan.FromSeconds(28));
        await client.Settle();

        clock.Advance(TimeSpan.FromSeconds(7));

        Assert.Equal(4401, await client.Closed());
    }

    [Fact]
    public async Task Renewing_the_token_extends_the_connection()
    {
        await using var client = await app.Open(bearer: app.TokenFor(alice, TimeSpan.FromSeconds(30)));
        await client.Next("auth_success");
        clock.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal("auth_success", (await client.Ask("auth", new { token = app.TokenFor(alice, TimeSpan.FromSeconds(40)) })).Type);

        clock.Advance(TimeSpan.FromSeconds(35));
        await client.Settle();

        clock.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(4401, await client.Closed());
    }

    /// <summary>A renewal replaces the token; lifetimes do not add up.</summary>
    [Fact]
    public async Task Renewing_with_a_shorter_token_shortens_the_connection()
    {
        await using var client = await app.Connect(alice);
        await client.Ask("auth", new { token = app.TokenFor(alice, TimeSpan.FromSeconds(10)) });

        clock.Advance(TimeSpan.FromSeconds(15));

        Assert.Equal(4401, await client.Closed());
    }

    [Fact]
    public async Task Silence_of_45_seconds_closes_with_4412()
    {
        await using var client = await app.Connect(alice);
        clock.Advance(TimeSpan.FromSeconds(43));
        await client.Settle();
        // The round trip was activity: the timeout restarts.
        clock.Advance(TimeSpan.FromSeconds(43));
        await client.Settle();

        clock.Advance(TimeSpan.FromSeconds(46));

        Assert.Equal(4412, await client.Closed());
    }

    [Fact]
    public async Task The_hundredth_error_within_ten_seconds_closes_with_4503()
    {
        await using var client = await app.Connect(alice);
        for (var i = 0; i < 99; i++)
            Assert.Equal("UNKNOWN_EVENT", (await client.Ask("nonsense", new { })).Text("code"));
        await client.Settle();
        clock.Advance(TimeSpan.FromSeconds(9));
        await client.Settle();

        await client.SendText("no JSON");

        Assert.Equal(4503, await client.Closed());
        Assert.Equal(100, client.Frames.Count(frame => frame.Type == "error"));
    }

    [Fact]
    public async Task Errors_spread_over_a_longer_time_close_nothing()
    {
        await using var client = await app.Connect(alice);
        for (var burst = 0; burst < 4; burst++)
        {
            for (var i = 0; i < 90; i++)
                await client.Send("nonsense", new { });
            await client.Settle();
            clock.Advance(TimeSpan.FromSeconds(11));
            await client.Settle();
        }

        Assert.Equal(360, client.Frames.Count(frame => frame.Type == "error"));
    }

    /// <summary>The window slides: pausing at its edge is not enough.</summary>
    [Fact]
    public async Task The_ten_seconds_are_a_sliding_window()
    {
        await using var client = await app.Connect(alice);
        for (var i = 0; i < 60; i++)
            await client.Send("nonsense", new { });
        await client.Settle();
        clock.Advance(TimeSpan.FromSeconds(9));
        for (var i = 0; i < 40; i++)
            await Record.ExceptionAsync(() => client.Send("nonsense", new { }));

        Assert.Equal(4503, await client.Closed());
    }
}
