using Chat.Backplane;
using Chat.Features;
using Chat.Socket;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Fixtures;

/// <summary>Two nodes of one installation.</summary>
public sealed class TwoNodes : IAsyncDisposable
{
    private int lastMarker;

    private TwoNodes(ChatApp one, ChatApp two) => (One, Two) = (one, two);

    public ChatApp One { get; }

    public ChatApp Two { get; }

    /// <summary>Starts them.</summary>
    /// <param name="redis">The Redis between them; without one, the run's own.</param>
    /// <param name="fakeClock">Whether they share a clock that the test moves.</param>
    public static async Task<TwoNodes> Start(string? redis = null, bool fakeClock = false)
    {
        var one = await ChatApp.Start(redis is null ? null : new() { ["ConnectionStrings:Redis"] = redis }, fakeClock);
        return new TwoNodes(one, await one.StartNode());
    }

    /// <summary>
    /// A round trip over everything: when it returns, whatever the server had done for these connections has arrived,
    /// also what one node published to the other. How a test proves that nothing came.
    /// </summary>
    public async Task Settle(params IEnumerable<(TestUser User, SocketClient Client)> connections)
    {
        var all = connections.ToArray();
        await Task.WhenAll(all.Select(own => own.Client.Settle()));
        foreach (var node in (ChatApp[])[One, Two])
        {
            // Behind all that this node has sent so far, on every user's channel.
            var marker = $"settled-{Interlocked.Increment(ref lastMarker)}";
            foreach (var user in all.Select(own => own.User).Distinct())
                node.Services.GetRequiredService<RedisBackplane>().Send(user.Id, Frame.Of(new Pong(System.Text.Json.JsonSerializer.SerializeToElement(1), DateTimeOffset.UtcNow), marker));
            await Task.WhenAll(all.Select(own => own.Client.ReplyTo(marker)));
        }
    }

    public async ValueTask DisposeAsync()
    {
        // A node that drains waits by its clock, which may stand still: it must find nobody to wait for.
        await Eventually.Holds("all clients have gone", () => One.Hub().Count + Two.Hub().Count == 0);
        await Two.DisposeAsync();
        await One.DisposeAsync();
    }
}

/// <summary>What tests ask a node behind its back.</summary>
internal static class NodeInternals
{
    /// <summary>The node's connections.</summary>
    public static Hub Hub(this ChatApp node) => node.Services.GetRequiredService<Hub>();

    /// <summary>The node's connection to Redis.</summary>
    public static RedisConnection Redis(this ChatApp node) => node.Services.GetRequiredService<RedisConnection>();
}
