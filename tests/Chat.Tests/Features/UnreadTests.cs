using System.Net;
using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Features;

public sealed class UnreadTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ChatApp app = shared.App;

    [Fact]
    public async Task Only_messages_by_others_past_the_cursor_are_unread()
    {
        var (alice, bob, carol) = (ChatApp.NewUser(), ChatApp.NewUser(), ChatApp.NewUser());
        var (withAlice, withCarol, empty) =
            (await app.OpenDirect(bob, alice), await app.OpenDirect(carol, bob), await app.OpenDirect(bob, ChatApp.NewUser()));
        foreach (var (sender, conversation) in new[] { (alice, withAlice), (bob, withAlice), (alice, withAlice), (carol, withCarol),
            (bob, withCarol), (bob, empty) })
            await app.SendOverRest(sender, conversation, "hello");

        var before = await app.Unread(bob);
        await app.ReadOverRest(bob, withAlice, 1);
        await app.ReadOverRest(bob, withCarol);
        var after = await app.Unread(bob);

        Assert.Equal(3, before.Total);
        Assert.Equal(new Dictionary<Guid, long> { [withAlice] = 2, [withCarol] = 1 }, before.Conversations);
        Assert.Equal(1, after.Total);
        Assert.Equal(new Dictionary<Guid, long> { [withAlice] = 1 }, after.Conversations);
    }

    [Fact]
    public async Task Unread_counts_agree_everywhere()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atBob = await app.Connect(bob);
        await using var reading = await app.Connect(bob);
        var random = new Random(1);
        for (var (i, last) = (0, 0); i < 40; i++)
        {
            if (last > 0 && random.Next(3) == 0)
                await reading.Read(conversation, random.Next(1, last + 1));
            else
                await app.SendOverRest(random.Next(4) == 0 ? bob : alice, conversation, $"m{++last}");

            var (total, conversations) = await app.Unread(bob);
            Assert.Equal(total, conversations.GetValueOrDefault(conversation));
            Assert.Equal(total, (await app.Conversation(bob, conversation)).Number("unread"));
            await atBob.Settle();
            if (atBob.All("notification.unread").Count > 0)
                Assert.Equal((total, total), atBob.UnreadOf(conversation));
        }

        Assert.True(atBob.All("notification.unread").Count > 10);
    }

    [Fact]
    public async Task A_user_without_conversations_has_no_unread_messages()
    {
        Assert.Equal(0, (await app.Unread(ChatApp.NewUser())).Total);
        await (await app.Http().GetAsync("/chat/unread")).IsProblem(HttpStatusCode.Unauthorized, "UNAUTHORIZED");
    }
}
