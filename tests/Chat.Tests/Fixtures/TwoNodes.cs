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

    /// <summary>Starts both nodes.</summary>
    /// <param name="redis">Their Redis; the run's shared one by default.</param>
    /// <param name="fakeClock">Whether they share a clock that the test advances.</param>
    public static async Task<TwoNodes> Start(string? redis = null, bool fakeClock = false)
    {
        var one = await ChatApp.Start(redis is null ? null : new() { ["ConnectionStrings:Redis"] = redis }, fakeClock);
        return new TwoNodes(one, await one.StartNode());
    }

    /// <summary>
    /// A round trip through both nodes: when it returns, whatever the server had done for these connections has arrived, including
    /// what one node published to the other. Lets a test prove that nothing was sent.
    /// </summary>
    public async Task Settle(params IEnumerable<(TestUser User, SocketClient Client)> connections)
    {
        var all = connections.ToArray();
        await Task.WhenAll(all.Select(own => own.Client.Settle()));
        foreach (var node in (ChatApp[])[One, Two])
        {
            // After everything this node has published so far, on every user's channel.
            var marker = $"settled-{Interlocked.Increment(ref lastMarker)}";
            foreach (var user in all.Select(own => own.User).Distinct())
                node.Services.GetRequiredService<RedisBackplane>().Send(
                    user.Id, Frame.Of(new Pong(System.Text.Json.JsonSerializer.SerializeToElement(1), DateTimeOffset.UtcNow), marker));
            await Task.WhenAll(all.Select(own => own.Client.ReplyTo(marker)));
        }
    }

    public async ValueTask DisposeAsync()
    {
        // A draining node waits by its clock, which may stand still: no connection may be left to wait for.
        await Eventually.Until("all clients have gone", () => One.Hub().Count + Two.Hub().Count == 0);
        await Two.DisposeAsync();
        await One.DisposeAsync();
    }
}

/// <summary>Internals of a node that tests inspect.</summary>
internal static class NodeInternals
{
    /// <summary>Returns the node's connections.</summary>
    public static Hub Hub(this ChatApp node) => node.Services.GetRequiredService<Hub>();

    /// <summary>Returns the node's connection to Redis.</summary>
    public static RedisConnection Redis(this ChatApp node) => node.Services.GetRequiredService<RedisConnection>();
}
