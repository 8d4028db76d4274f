using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Features;

public sealed class SendMessageTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ChatApp app = shared.App;

    [Fact]
    public async Task A_message_is_acknowledged_delivered_and_read_back()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var atAlice = await app.Connect(alice);
        await using var atBob = await app.Connect(bob);
        var conversation = await app.OpenDirect(alice, bob);

        var sent = await atAlice.SendMessage(conversation, "  hello  ", "t1");
        var arrived = await atBob.NextMessage();

        Assert.Equal("message.sent", sent.Type);
        Assert.Equal("t1", sent["tempId"].GetString());
        Assert.Equal("hello", sent["message.content"].GetString());
        Assert.Equal(1, sent["message.seq"].GetInt64());
        Assert.Equal(sent["message.id"].GetGuid(), arrived["message.id"].GetGuid());
        Assert.False(arrived["message"].TryGetProperty("tempId", out _));
        Assert.Equal(1, (await atBob.Next("notification.unread"))["totalUnread"].GetInt64());
        Assert.Equal(sent["message.id"].GetGuid(), Assert.Single(await app.History(bob, conversation)).GetProperty("id").GetGuid());
    }
}
