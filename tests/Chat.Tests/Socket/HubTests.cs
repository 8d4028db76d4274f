using Chat.Features;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Socket;

/// <summary>Several connections of one user, and that closed connections leave nothing behind.</summary>
public sealed class HubTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ChatApp app = shared.App;
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    private Hub Hub => app.Services.GetRequiredService<Hub>();

    [Fact]
    public async Task Every_connection_of_a_user_receives_every_push_once()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var sender = await app.Connect(alice);
        await using var alicesPhone = await app.Connect(alice);
        await using var bobsPhone = await app.Connect(bob);
        await using var bobsDesk = await app.Connect(bob);

        await sender.SendMessage(conversation, "hello", "t1");

        Assert.Equal("t1", (await alicesPhone.NextMessage()).Text("message.tempId"));
        Assert.Equal("hello", (await bobsPhone.NextMessage()).Text("message.content"));
        Assert.Equal("hello", (await bobsDesk.NextMessage()).Text("message.content"));
        foreach (var client in (SocketClient[])[sender, alicesPhone, bobsPhone, bobsDesk])
        {
            await client.Next("conversation.updated");
            await client.Settle();
            Assert.Equal(client == sender ? 0 : 1, client.Frames.Count(frame => frame.Type == "message.new"));
            Assert.Equal(1, client.Frames.Count(frame => frame.Type == "conversation.updated"));
            Assert.Equal(
                client == bobsPhone || client == bobsDesk ? 1 : 0, client.Frames.Count(frame => frame.Type == "notification.unread"));
        }
    }

    [Fact]
    public async Task A_closing_connection_does_not_affect_the_users_others()
    {
        var conversation = await app.OpenDirect(alice, bob);
        await using var sender = await app.Connect(alice);
        await using var stays = await app.Connect(bob);
        var leaves = await app.Connect(bob);
        var breaks = await app.Connect(bob);
        await leaves.Leave();
        breaks.Cut();
        await Eventually.Until("two are gone", () => Hub.ConnectionsOf(bob.Id).Count == 1);

        await sender.SendMessage(conversation, "hello");

        Assert.Equal("hello", (await stays.NextMessage()).Text("message.content"));
        await leaves.DisposeAsync();
        await breaks.DisposeAsync();
    }

    [Fact]
    public async Task Nothing_remains_after_all_connections_have_closed()
    {
        var clients = new List<SocketClient>();
        for (var i = 0; i < 8; i++)
            clients.Add(await app.Connect(i % 2 == 0 ? alice : bob));
        clients.Add(await app.Open());
        clients.Add(await app.Open("?token=bad"));
        await app.OpenDirect(alice, bob);
        Assert.Equal(4, Hub.ConnectionsOf(alice.Id).Count);
        Assert.Contains(alice.Id, Hub.Users);

        for (var i = 0; i < clients.Count; i++)
        {
            if (i % 3 == 0)
                clients[i].Cut();
            else if (i % 3 == 1)
                await Record.ExceptionAsync(clients[i].Leave);
            await clients[i].DisposeAsync();
        }

        await Eventually.Until("no connection is left", () => Hub.Count == 0);
        await Eventually.Until("no user is left", () => Hub.Users.Count == 0);
        await Eventually.Until("no feed is left", () => !app.Services.GetRequiredService<Delivery>().Feeds.Any());
    }
}
