using System.Net;
using Chat.Features;
using Chat.Storage;
using Chat.Telemetry;
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
    public async Task A_token_identifies_its_user()
    {
        await app.SignIn(
            user, ("preferred_username", $" {username} "), ("name", "Alice Ällgood 😀"), ("picture", "https://example.org/a.png"));

        Assert.Equal((username, "Alice Ällgood 😀", "https://example.org/a.png"), await cluster.Second.Seen(user));
    }

    [Fact]
    public async Task A_socket_reports_the_invalid_field_as_well()
    {
        await using var client = await app.Connect(new TestUser(user, username));

        Assert.Equal((username, null, null), await app.Seen(user));
    }

    [Fact]
    public async Task Many_new_users_leave_database_connections_to_others()
    {
        await using var held = await HeldLock.Begin(app);
        await held.Execute($"lock table {app.Services.GetRequiredService<TableNames>().Schema}.mt_doc_user in exclusive mode");

        var connecting = Enumerable.Range(0, 40).Select(_ => app.Connect(ChatApp.NewUser())).ToArray();
        var most = 0;
        await Eventually.Until("all are let in", () =>
        {
            most = Math.Max(most, held.WaitingNow);
            return Array.TrueForAll(connecting, one => one.IsCompleted);
        });
        foreach (var client in await Task.WhenAll(connecting))
            await client.DisposeAsync();

        Assert.InRange(most, 1, UserDirectory.MaxConcurrency);
    }

    [Fact]
    public async Task Waiting_ends_at_the_timeout_of_the_servers_clock_and_cancelled_waiters_leak_no_permit()
    {
        await using var own = await ChatApp.Start(fakeClock: true);
        var directory = own.Services.GetRequiredService<UserDirectory>();
        await using var held = await HeldLock.Begin(own);
        await held.Execute($"lock table {own.Services.GetRequiredService<TableNames>().Schema}.mt_doc_user in exclusive mode");

        var crowd = SeeCrowd();
        await held.IsWaitedFor(UserDirectory.MaxConcurrency);
        Assert.DoesNotContain(crowd, one => one.IsCompleted);
        own.Clock!.Advance(TimeSpan.FromSeconds(0.5));
        await Task.WhenAll(crowd).WaitAsync(Eventually.Timeout);
        await held.Release();

        // With a clock that stands still, each of these waits until it has had its turn.
        await Task.WhenAll(SeeCrowd()).WaitAsync(Eventually.Timeout);

        Task[] SeeCrowd() =>
            [.. Enumerable.Range(0, UserDirectory.MaxConcurrency * 2)
                .Select(_ => directory.OnSignedInAsync(new Identity(Guid.NewGuid(), null, "Somebody", null)).AsTask())];
    }

    [Fact]
    public async Task Without_claims_the_profile_is_empty()
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
    public async Task A_privacy_change_can_be_reverted()
    {
        await app.SignIn(user, ("preferred_username", username), ("name", "One"));
        await app.SignIn(user, ("preferred_username", username), ("name", "Other"));
        await app.SignIn(user, ("preferred_username", username), ("name", "One"));

        Assert.Equal((username, "One", null), await app.Seen(user));
    }

    [Fact]
    public async Task A_username_belongs_to_the_first_claimant_in_any_case()
    {
        var newcomer = Guid.NewGuid();
        await app.SignIn(user, ("preferred_username", username));
        await cluster.Second.SignIn(newcomer, ("preferred_username", username.ToUpperInvariant()), ("name", "Newcomer"));

        Assert.Equal((username, null, null), await app.Seen(user));
        Assert.Equal((null, "Newcomer", null), await app.Seen(newcomer));
        var found = await (await app.AskForDirect(ChatApp.NewUser(), new { username })).Is(HttpStatusCode.Created);
        Assert.Equal(username, found.Member(new TestUser(user, username)).Text("username"));
    }

    [Fact]
    public async Task A_user_keeps_their_name_if_the_new_one_is_taken()
    {
        var renamed = Guid.NewGuid();
        await app.SignIn(user, ("preferred_username", username));
        await app.SignIn(renamed, ("preferred_username", $"{username}-2"), ("name", "Before"));
        await app.SignIn(renamed, ("preferred_username", username), ("name", "After"));

        Assert.Equal((username, null, null), await app.Seen(user));
        Assert.Equal(($"{username}-2", "After", null), await app.Seen(renamed));
    }

    [Fact]
    public async Task A_released_username_is_reserved_for_its_last_owner_for_thirty_days()
    {
        await using var own = await ChatApp.Start(fakeClock: true);
        var (heir, seeker) = (Guid.NewGuid(), ChatApp.NewUser());
        await See(own, user, username);
        await See(own, user, $"{username}-2");
        await (await own.AskForDirect(seeker, new { username })).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
        own.Clock!.Advance(TimeSpan.FromDays(29));
        await See(own, heir, username);
        Assert.Equal(($"{username}-2", null), await Names(own, user, heir));

        await See(own, user, username);
        await See(own, user, $"{username}-3");
        own.Clock.Advance(TimeSpan.FromDays(31));
        await See(own, heir, username);
        Assert.Equal(($"{username}-3", username), await Names(own, user, heir));
    }

    /// <summary>The same word in different cases, widths and normalization forms.</summary>
    [Theory]
    [InlineData("Jos\u00e9-Mar\u00eda", "JOSE\u0301-MARI\u0301A")]
    [InlineData("Stra\u00dfenkehrer", "STRASSENKEHRER")]
    [InlineData("\u03a3\u03bf\u03c6\u03cc\u03c2", "\u03c3\u03bf\u03c6\u03cc\u03c3")]
    [InlineData("Fullwidth", "\uff26\uff55\uff4c\uff4c\uff57\uff49\uff44\uff54\uff48")]
    [InlineData("\ufb01nance team", "Finance  Team")]
    [InlineData("\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165")]
    public async Task All_spellings_of_a_name_are_equal(string first, string second)
    {
        var newcomer = Guid.NewGuid();
        await app.SignIn(user, ("preferred_username", first));
        await cluster.Second.SignIn(newcomer, ("preferred_username", second));

        Assert.Null((await app.Seen(newcomer)).Username);
        var found = await (await app.AskForDirect(ChatApp.NewUser(), new { username = second })).Is(HttpStatusCode.Created);
        Assert.Contains(found.List("members"), member => member.Id("userId") == user);
    }

    /// <summary>Each in a single script, so that only the shapes of the letters reveal the spoof.</summary>
    [Theory]
    [InlineData("scope", "\u0455\u0441\u043e\u0440\u0435")]
    [InlineData("modern", "modem")]
    [InlineData("Illinois", "lllinois")]
    [InlineData("user-10", "user-1O")]
    public async Task A_confusable_username_is_rejected(string first, string second)
    {
        var newcomer = Guid.NewGuid();
        await app.SignIn(user, ("preferred_username", first));
        await app.SignIn(newcomer, ("preferred_username", second), ("name", "Newcomer"));

        Assert.Equal((first, null, null), await app.Seen(user));
        Assert.Equal((null, "Newcomer", null), await app.Seen(newcomer));
        await (await app.AskForDirect(ChatApp.NewUser(), new { username = second })).IsProblem(HttpStatusCode.NotFound, "NOT_FOUND");
    }

    [Theory]
    [InlineData("zero\u200bwidth")]
    [InlineData("soft\u00adhyphen")]
    [InlineData("\ufeffmark")]
    [InlineData("right\u202eleft")]
    [InlineData("isolated\u2066")]
    [InlineData("filler\u3164")]
    [InlineData("line\nbreak")]
    [InlineData("del\u007f")]
    [InlineData("\u0301mark-first")]
    [InlineData("p\u0430ypal")]
    public async Task An_invalid_username_is_ignored(string name)
    {
        await app.SignIn(user, ("preferred_username", name), ("name", "Somebody"));

        Assert.Equal((null, "Somebody", null), await app.Seen(user));
    }

    [Theory]
    [InlineData("\u041d\u0430\u0442\u0430\u0448\u0430")]
    [InlineData("\u5c71\u7530\u592a\u90ce-san")]
    [InlineData("\u0645\u0631\u064a\u0645 2")]
    [InlineData("o'brien.x_y@example.org")]
    public async Task Usernames_of_all_scripts_are_valid(string name)
    {
        await app.SignIn(user, ("preferred_username", name));

        Assert.Equal(name, (await app.Seen(user)).Username);
    }

    /// <summary>The picture is loaded by the browsers of the user's contacts.</summary>
    [Theory]
    [InlineData("http://example.org/a.png")]
    [InlineData("//example.org/a.png")]
    [InlineData("a.png")]
    [InlineData("javascript:alert(1)")]
    [InlineData("data:image/png;base64,AAAA")]
    [InlineData("https://me:secret@example.org/a.png")]
    public async Task An_invalid_picture_URL_is_ignored(string address)
    {
        await app.SignIn(user, ("preferred_username", username), ("picture", address));

        Assert.Equal((username, null, null), await app.Seen(user));
    }

    [Theory]
    [InlineData("\u200b")]
    [InlineData("\u2060 \u00ad\ufe0f")]
    [InlineData("\u3164\u2800")]
    public async Task An_invisible_name_is_ignored(string name)
    {
        await app.SignIn(user, ("preferred_username", username), ("name", name));

        Assert.Equal((username, null, null), await app.Seen(user));
    }

    [Fact]
    public async Task A_token_without_the_claim_keeps_the_name()
    {
        await app.SignIn(user, ("preferred_username", username));
        await app.SignIn(user, ("name", "Later"));

        Assert.Equal((username, "Later", null), await app.Seen(user));
    }

    [Fact]
    public async Task An_older_token_from_another_device_changes_nothing_on_any_node()
    {
        var (before, after) = (DateTimeOffset.UtcNow - TimeSpan.FromMinutes(10), DateTimeOffset.UtcNow - TimeSpan.FromMinutes(1));
        var (older, newer) = (new Identity(user, username, "Before", null) { IssuedAt = before },
            new Identity(user, $"{username}-2", "After", null) { IssuedAt = after });
        foreach (var identity in new[] { older, newer, older })
            await Directory(app).OnSignedInAsync(identity);
        await Directory(cluster.Second).OnSignedInAsync(older);

        Assert.Equal(($"{username}-2", "After", null), await app.Seen(user));
        await Directory(cluster.Second).OnSignedInAsync(older with { IssuedAt = after + TimeSpan.FromSeconds(1) });
        Assert.Equal((username, "Before", null), await app.Seen(user));
    }

    [Fact]
    public async Task A_newer_token_with_the_same_claims_wins_over_one_issued_in_between()
    {
        var start = DateTimeOffset.UtcNow - TimeSpan.FromMinutes(10);
        var (first, between) = (new Identity(user, username, "Ann", null) { IssuedAt = start },
            new Identity(user, $"{username}-2", "Between", null) { IssuedAt = start + TimeSpan.FromMinutes(1) });
        await Directory(app).OnSignedInAsync(first);
        await Directory(app).OnSignedInAsync(first with { IssuedAt = start + TimeSpan.FromMinutes(2) });

        await Directory(cluster.Second).OnSignedInAsync(between);

        Assert.Equal((username, "Ann", null), await app.Seen(user));
        await Directory(cluster.Second).OnSignedInAsync(between with { IssuedAt = start + TimeSpan.FromMinutes(3) });
        Assert.Equal(($"{username}-2", "Between", null), await app.Seen(user));
    }

    /// <summary>An account deleted and recreated at the identity provider: same name, new <c>sub</c>.</summary>
    [Fact]
    public async Task With_latest_wins_a_newer_token_takes_the_name_and_an_older_one_does_not_take_it_back()
    {
        await using var own = await ChatApp.Start(new()
        {
            ["Directory:Names"] = "latest",
            ["Logging:LogLevel:Chat.Audit"] = "Information",
            ["Logging:Console:LogLevel:Chat.Audit"] = "None",
        });
        var log = LogCapture.Of(own, Microsoft.Extensions.Logging.LogLevel.Information);
        var (successor, forger) = (Guid.NewGuid(), Guid.NewGuid());
        var start = DateTimeOffset.UtcNow - TimeSpan.FromMinutes(10);
        await See(own, user, username, start);
        await See(own, successor, username.ToUpperInvariant(), start + TimeSpan.FromMinutes(1));
        await See(own, user, username, start + TimeSpan.FromSeconds(30));

        Assert.Equal((null, username.ToUpperInvariant()), await Names(own, user, successor));
        Assert.Contains($"Username moved: from user {user} to user {successor}, whose token is newer", log.Of(AuditLog.Category));

        // A confusable name is never taken over, however new the token.
        await See(own, forger, username.Replace("m", "rn", StringComparison.Ordinal), start + TimeSpan.FromMinutes(5));
        Assert.Equal((null, username.ToUpperInvariant()), await Names(own, forger, successor));
    }

    [Fact]
    public async Task An_administrator_can_release_or_move_a_username()
    {
        var (second, third) = (Guid.NewGuid(), Guid.NewGuid());
        await app.SignIn(user, ("preferred_username", username));
        Assert.Equal(HttpStatusCode.NoContent, await app.Administer("release", new { username = username.ToUpperInvariant() }));
        Assert.Equal(HttpStatusCode.NotFound, await app.Administer("release", new { username }));
        await app.SignIn(second, ("preferred_username", username));
        Assert.Equal((null, username), await Names(app, user, second));

        // Also to a user who has not signed in yet.
        Assert.Equal(HttpStatusCode.NoContent, await app.Administer("move", new { username, userId = third }));
        Assert.Equal((null, username), await Names(app, second, third));
        await cluster.Second.SignIn(second, ("preferred_username", username), ("name", "Second"));
        Assert.Equal((null, username), await Names(app, second, third));
        var forged = username.Replace("m", "rn", StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.BadRequest, await app.Administer("move", new { username = forged, userId = second }));
        Assert.Equal(HttpStatusCode.BadRequest, await app.Administer("move", new { username = "\u200b", userId = second }));
        Assert.Equal(HttpStatusCode.Forbidden, await app.Administer("move", new { username, userId = second }, scope: "chat"));
    }

    [Fact]
    public async Task Two_users_who_swap_usernames_concurrently_end_with_one_each()
    {
        for (var round = 0; round < 5; round++)
        {
            var (one, other, name) = (Guid.NewGuid(), Guid.NewGuid(), $"Name-{Guid.NewGuid():N}");
            await Take(name, $"{name}-2");
            await Take($"{name}-2", name);

            Assert.Equal((name, $"{name}-2"), await Names(app, one, other));

            Task Take(string ones, string others) => Task.WhenAll(
                Directory(app).OnSignedInAsync(new Identity(one, ones, null, null)).AsTask(),
                Directory(cluster.Second).OnSignedInAsync(new Identity(other, others, null, null)).AsTask());
        }
    }

    [Fact]
    public async Task Concurrent_first_sign_ins_on_many_devices_keep_the_username()
    {
        var directories = new[] { app, cluster.Second }.Select(node => node.Services.GetRequiredService<UserDirectory>()).ToArray();
        for (var round = 0; round < 20; round++)
        {
            var (id, name) = (Guid.NewGuid(), $"Name-{Guid.NewGuid():N}");

            await Task.WhenAll(
                Enumerable.Range(0, 20).Select(i => directories[i % 2].OnSignedInAsync(new Identity(id, name, null, null)).AsTask()));

            Assert.Equal((name, null, null), await app.Seen(id));
        }
    }

    [Fact]
    public async Task Of_many_concurrent_claims_of_a_name_exactly_one_succeeds()
    {
        var people = Enumerable.Range(0, 20).Select(_ => Guid.NewGuid()).ToArray();

        await Task.WhenAll(people.Select((id, i) => (i % 2 == 0 ? app : cluster.Second).SignIn(id, ("preferred_username", username))));

        var names = await Task.WhenAll(people.Select(async id => (await app.Seen(id)).Username));
        Assert.Equal([username], names.OfType<string>());
    }

    private static UserDirectory Directory(ChatApp node) => node.Services.GetRequiredService<UserDirectory>();

    private static async Task See(ChatApp node, Guid id, string name, DateTimeOffset? issuedAt = null) =>
        await Directory(node).OnSignedInAsync(new Identity(id, name, null, null) { IssuedAt = issuedAt ?? node.Clock!.GetUtcNow() });

    private static async Task<(string? One, string? Other)> Names(ChatApp node, Guid one, Guid other) =>
        ((await node.Seen(one)).Username, (await node.Seen(other)).Username);
}
