using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Chat.Features;
using Chat.Tests.Fixtures;
using Chat.Tokens;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Chat.Tests.Start;

/// <summary>Tokens of an issuer that publishes its keys.</summary>
public sealed class AuthorityTests
{
    [Fact]
    public async Task Tokens_are_checked_with_the_published_keys_even_after_a_rotation()
    {
        await using var issuer = await FakeIssuer.Start();
        await using var app = await ChatApp.Start(new()
        {
            ["Jwt:Key"] = "",
            ["Jwt:Authority"] = issuer.Address,
            ["Jwt:Issuer"] = issuer.Address,
        });
        var user = ChatApp.NewUser();

        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
        Assert.Equal(HttpStatusCode.OK, await Rest(app, issuer.TokenFor(user)));

        issuer.RotateKey();
        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
        Assert.Equal(HttpStatusCode.OK, await Rest(app, issuer.TokenFor(user)));

        // Neither with a foreign key nor with the shared secret of an installation without an authority.
        Assert.Equal("auth_failed", await FirstFrame(app, issuer.TokenFor(user, FakeIssuer.NewKey())));
        Assert.Equal("auth_failed", await FirstFrame(app, app.TokenFor(user)));
        Assert.Equal(HttpStatusCode.Unauthorized, await Rest(app, app.TokenFor(user)));
    }

    [Fact]
    public async Task Until_the_issuers_keys_are_loaded_no_token_is_reported_as_invalid()
    {
        await using var issuer = await FakeIssuer.Start();
        issuer.IsAway = true;
        await using var app = await ChatApp.Start(new()
        {
            ["Jwt:Key"] = "",
            ["Jwt:Authority"] = issuer.Address,
            ["Jwt:Issuer"] = issuer.Address,
        });
        var user = ChatApp.NewUser();

        foreach (var query in (string?[])[$"?token={issuer.TokenFor(user)}", null])
        {
            await using var client = await app.Open(query);
            if (query is null)
                await client.Send("auth", new { token = issuer.TokenFor(user) });
            // Told to reconnect later.
            Assert.Equal(1013, await client.Closed());
            Assert.Empty(client.Frames);
        }

        using var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", issuer.TokenFor(user));
        var refused = await http.GetAsync(new Uri("/chat/unread", UriKind.Relative));
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.True((await refused.IsProblem(HttpStatusCode.ServiceUnavailable, "UNAVAILABLE")).Flag("retryable"));
        await (await app.Http().GetAsync(new Uri("/chat/unread", UriKind.Relative))).IsProblem(HttpStatusCode.Unauthorized, "UNAUTHORIZED");
        Assert.Equal("signing keys not loaded", (await app.Ready(HttpStatusCode.ServiceUnavailable)).Text("issuer"));

        issuer.IsAway = false;
        await Eventually.UntilNoError(
            async () => await Rest(app, issuer.TokenFor(user)) is not HttpStatusCode.OK and var status ? $"still {status}" : null);
        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
        await app.Ready(HttpStatusCode.OK);

        // Loaded keys are kept while the issuer is unavailable.
        issuer.IsAway = true;
        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
    }

    /// <summary>One log line must suffice to find the cause.</summary>
    [Fact]
    public async Task The_reason_for_an_unavailable_issuer_includes_the_inner_cause()
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using var expired = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-30), DateTimeOffset.UtcNow.AddDays(-1));
        await using var issuer = await FakeIssuer.Start(expired);
        await using var failing = await FakeIssuer.Start();
        failing.IsAway = true;

        Assert.Contains("NotTimeValid", await ReasonAt(issuer.Address), StringComparison.Ordinal);
        Assert.Contains("Connection refused", await ReasonAt($"http://127.0.0.1:{TestPort.Pick()}"), StringComparison.Ordinal);
        Assert.Contains("503", await ReasonAt(failing.Address), StringComparison.Ordinal);

        static async Task<string?> ReasonAt(string address)
        {
            using var keys = new IssuerKeys(
                Options.Create(new JwtSettings { Authority = address }),
                new HostingEnvironment { EnvironmentName = Environments.Production },
                TimeProvider.System,
                NullLogger<IssuerKeys>.Instance);
            Assert.False(await keys.FetchAsync());
            return keys.Reason;
        }
    }

    /// <summary>Tokens with random key ids must not make others wait for a hanging issuer.</summary>
    [Fact]
    public async Task A_hanging_issuer_does_not_delay_tokens_with_known_keys()
    {
        await using var issuer = await FakeIssuer.Start();
        await using var app = await ChatApp.Start(new()
        {
            ["Jwt:Key"] = "",
            ["Jwt:Authority"] = issuer.Address,
            ["Jwt:Issuer"] = issuer.Address,
        }, fakeClock: true);
        var user = ChatApp.NewUser();
        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
        app.Clock!.Advance(TimeSpan.FromSeconds(2));
        issuer.Hangs = true;

        var strangers = new List<SocketClient>();
        foreach (var _ in Enumerable.Range(0, 10))
        {
            var stranger = await app.Open();
            await stranger.Send("auth", new { token = issuer.TokenFor(user, FakeIssuer.NewKey()) });
            strangers.Add(stranger);
        }

        var ends = strangers.Select(stranger => stranger.Closed()).ToArray();
        foreach (var _ in Enumerable.Range(0, 5))
        {
            Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
            Assert.Equal(HttpStatusCode.OK, await Rest(app, issuer.TokenFor(user)));
        }

        // They still wait, because the clock stands still and nothing has shown that their keys are not the issuer's.
        Assert.All(ends, end => Assert.False(end.IsCompleted));
        await Eventually.Until("they are asked to come back", () => Passed(Task.WhenAll(ends)));
        Assert.All(await Task.WhenAll(ends), code => Assert.Equal(1013, code));
        Assert.All(strangers, stranger => Assert.Empty(stranger.Frames));
        Assert.Equal(1, issuer.MostAtOnce);
        foreach (var stranger in strangers)
            await stranger.DisposeAsync();

        issuer.Hangs = false;
        issuer.RotateKey();
        await Eventually.UntilNoError(async () =>
        {
            var asked = Rest(app, issuer.TokenFor(user));
            await Eventually.Until("an answer", () => Passed(asked));
            return await asked is not HttpStatusCode.OK and var status ? $"still {status}" : null;
        });

        bool Passed(Task task)
        {
            if (!task.IsCompleted)
                app.Clock!.Advance(TimeSpan.FromMilliseconds(100));
            return task.IsCompleted;
        }
    }

    [Fact]
    public async Task A_client_waiting_for_the_issuer_does_not_time_out_as_unauthenticated()
    {
        await using var issuer = await FakeIssuer.Start();
        await using var app = await ChatApp.Start(
            new()
            {
                ["Jwt:Key"] = "",
                ["Jwt:Authority"] = issuer.Address,
                ["Jwt:Issuer"] = issuer.Address,
                ["Limits:AuthTimeout"] = "00:00:01"
            });
        var user = ChatApp.NewUser();
        Assert.Equal("auth_success", await FirstFrame(app, issuer.TokenFor(user)));
        issuer.Hangs = true;
        issuer.RotateKey();

        await using var client = await app.Open($"?token={issuer.TokenFor(user)}");

        // Not 4502, after which a client would not reconnect.
        Assert.Equal(1013, await client.Closed());
    }

    [Fact]
    public async Task Tokens_with_unknown_keys_cause_at_most_one_issuer_request_every_two_seconds()
    {
        await using var issuer = await FakeIssuer.Start();
        await using var app =
            await ChatApp.Start(new() { ["Jwt:Key"] = "", ["Jwt:Authority"] = issuer.Address, ["Jwt:Issuer"] = issuer.Address });
        var user = ChatApp.NewUser();
        Assert.Equal(HttpStatusCode.OK, await Rest(app, issuer.TokenFor(user)));
        var (before, foreign) = (issuer.Asked, FakeIssuer.NewKey());

        var refused = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => Rest(app, issuer.TokenFor(user, foreign))));

        Assert.All(refused, status => Assert.Equal(HttpStatusCode.Unauthorized, status));
        Assert.InRange(issuer.Asked - before, 1, 5);
    }

    private static async Task<string> FirstFrame(ChatApp app, string token)
    {
        await using var client = await app.Open($"?token={token}");
        await client.Ask("ping", new { }).ContinueWith(_ => { }, TaskScheduler.Default);
        return client.Frames[0].Type;
    }

    private static async Task<HttpStatusCode> Rest(ChatApp app, string token)
    {
        using var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        return (await http.GetAsync(new Uri("/chat/unread", UriKind.Relative))).StatusCode;
    }
}
