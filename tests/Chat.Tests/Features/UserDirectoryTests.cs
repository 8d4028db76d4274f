using System.Net;
using Chat.Features;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Chat.Tokens;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Features;

public sealed class UserDirectoryTests(SharedCluster cluster) : IClassFixture<SharedCluster>
{
    private readonly ChatApp app = cluster.First;
    private readonly Guid user = Guid.NewGuid();
    private readonly string username = $"Name-{Guid.NewGuid():N}";

    [Fact]
    public async Task A_token_tells_who_somebody_is()
    {
        await app.SignIn(user, ("preferred_username", $" {username} "), ("name", "Alice Ällgood 😀"), ("picture", "https://example.org/a.png"));

        Assert.Equal((username, "Alice Ällgood 😀", "https://example.org/a.png"), await cluster.Second.Seen(user));
    }

    [Fact]
    public async Task A_socket_tells_it_as_well()
    {
        await using var client = await app.Connect(new TestUser(user, username));

        Assert.Equal((username, null, null), await app.Seen(user));
    }

    [Fact]
    public async Task A_crowd_of_new_people_leaves_the_database_to_others()
    {
        await using var held = await HeldLock.Begin(app);
        await held.Execute($"lock table {app.Services.GetRequiredService<Tables>().Schema}.mt_doc_user in exclusive mode");

        var connecting = Enumerable.Range(0, 40).Select(_ => app.Connect(ChatApp.NewUser())).ToArray();
        var most = 0;
        await Eventually.Holds("all are let in", () =>
        {
            most = Math.Max(most, held.WaitingNow);
            return Array.TrueForAll(connecting, one => one.IsCompleted);
        });
        foreach (var client in await Task.WhenAll(connecting))
            await client.DisposeAsync();

        Assert.InRange(most, 1, UserDirectory.AtOnce);
    }

    [Fact]
    public async Task Nobody_waits_longer_than_the_servers_clock_says_and_no_turn_is_lost_by_giving_up()
    {
        await using var own = await ChatApp.Start(fakeClock: true);
        var directory = own.Services.GetRequiredService<UserDirectory>();
        await using var held = await HeldLock.Begin(own);
        await held.Execute($"lock table {own.Services.GetRequiredService<Tables>().Schema}.mt_doc_user in exclusive mode");

        var crowd = SeeCrowd();
        await held.IsWaitedFor(UserDirectory.AtOnce);
        Assert.DoesNotContain(crowd, one => one.IsCompleted);
        own.Clock!.Advance(TimeSpan.FromSeconds(0.5));
        await Task.WhenAll(crowd).WaitAsync(Eventually.Patience);
        await held.Release();

        // By a clock that stands still, each of these waits until it has had its turn.
        await Task.WhenAll(SeeCrowd()).WaitAsync(Eventually.Patience);

        Task[] SeeCrowd() =>
            [.. Enumerable.Range(0, UserDirectory.AtOnce * 2).Select(_ => directory.SeenAsync(new Identity(Guid.NewGuid(), null, "Somebody", null)).AsTask())];
    }

    [Fact]
    public async Task Without_claims_nothing_is_known()
    {
        await app.SignIn(user);
        await app.SignIn(user, ("preferred_username", "  "), ("name", ""), ("picture", new string('x', 2049)));

        Assert.Equal((null, null, null), await app.Seen(user));
    }

    [Fact]
    public async Task Names_and_pictures_follow_the_token()
    {
        await app.SignIn(user, ("preferred_username", username), ("name", "Before"), ("picture", "https://example.org/1.png"));
        await app.SignIn(user, ("preferred_username", username), ("name", "After"));

        Assert.Equal((username, "After", null), await app.Seen(user));
    }

    [Fact]
    public async Task What_was_changed_can_be_changed_back()
    {
        await app.SignIn(user, ("preferred_username", username), ("name", "One"));
        await app.SignIn(user, ("preferred_username", username), ("name", "Other"));
        await app.SignIn(user, ("preferred_username", username), ("name", "One"));

        Assert.Equal((username, "One", null), await app.Seen(user));
    }

    [Fact]
    public async Task A_username_is_the_first_ones_in_any_case()
    {
        var newcomer = Guid.NewGuid();
        await app.SignIn(user, ("preferred_username", username));
        await cluster.Second.SignIn(newcomer, ("preferred_username", username.ToUpperInvariant()), ("name", "Newcomer"));

        Assert.Equal((username, null, null), await app.Seen(user));
        Assert.Equal((null, "Newcomer", null), await app.Seen(newcomer));
        var found = await (await app.AskForDirect(ChatApp.NewUser(), new { username })).Is(HttpStatusCode.Created);
        Assert.Equal(username, found.Member(new TestUser(user, username)).GetProperty("username").GetString());
    }

    [Fact]
    public async Task Whoever_has_a_name_keeps_it_when_the_new_one_is_taken()
    {
        var renamed = Guid.NewGuid();
        await app.SignIn(user, ("preferred_username", username));
        await app.SignIn(renamed, ("preferred_username", $"{username}-2"), ("name", "Before"));
        await app.SignIn(renamed, ("preferred_username", username), ("name", "After"));

        Assert.Equal((username, null, null), await app.Seen(user));
        Assert.Equal(($"{username}-2", "After", null), await app.Seen(renamed));
    }

    [Fact]
    public async Task A_name_that_was_given_up_is_free_for_others()
    {
        var (heir, seeker) = (Guid.NewGuid(), ChatApp.NewUser());
        await app.SignIn(user, ("preferred_username", username));
        await app.SignIn(user, ("preferred_username", $"{username}-2"));
        await (await app.AskForDirect(seeker, new { username })).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        await cluster.Second.SignIn(heir, ("preferred_username", username));

        Assert.Equal(($"{username}-2", null, null), await app.Seen(user));
        Assert.Equal((username, null, null), await app.Seen(heir));
    }

    [Fact]
    public async Task Signing_in_for_the_first_time_on_many_devices_at_once_costs_nobody_the_name()
    {
        var directories = new[] { app, cluster.Second }.Select(node => node.Services.GetRequiredService<UserDirectory>()).ToArray();
        for (var round = 0; round < 20; round++)
        {
            var (id, name) = (Guid.NewGuid(), $"Name-{Guid.NewGuid():N}");

            await Task.WhenAll(Enumerable.Range(0, 20).Select(i => directories[i % 2].SeenAsync(new Identity(id, name, null, null)).AsTask()));

            Assert.Equal((name, null, null), await app.Seen(id));
        }
    }

    [Fact]
    public async Task One_of_many_who_want_a_name_at_once_gets_it()
    {
        var people = Enumerable.Range(0, 20).Select(_ => Guid.NewGuid()).ToArray();

        await Task.WhenAll(people.Select((id, i) => (i % 2 == 0 ? app : cluster.Second).SignIn(id, ("preferred_username", username))));

        var names = await Task.WhenAll(people.Select(async id => (await app.Seen(id)).Username));
        Assert.Equal([username], names.OfType<string>());
    }
}
