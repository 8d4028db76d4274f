using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Features;

public sealed class PresenceTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private readonly ChatApp app = shared.App;

    [Fact]
    public async Task Coming_and_going_is_told_once_to_the_people_one_talks_with()
    {
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);
        Assert.False((await atAlice.Next("status.bulk"))["users"][0].GetProperty("online").GetBoolean());

        var atBob = await app.Connect(bob);
        Assert.Equal(bob.Id, (await atAlice.Next("user.online"))["userId"].GetGuid());
        Assert.True((await atBob.Next("status.bulk"))["users"][0].GetProperty("online").GetBoolean());
        await atBob.Leave();

        Assert.Equal(bob.Id, (await atAlice.Next("user.offline"))["userId"].GetGuid());
        Assert.Equal(2, atAlice.Frames.Count(frame => frame.Type.StartsWith("user.", StringComparison.Ordinal)));
    }
}
