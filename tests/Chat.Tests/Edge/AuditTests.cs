using System.Net;
using Chat.Features;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Edge;

/// <summary>What the audit log records, and that it identifies users only by id.</summary>
public sealed class AuditTests
{
    [Fact]
    public async Task Sign_ins_rejections_and_revocations_are_audited()
    {
        await using var app = await ChatApp.Start(
            new() { ["Logging:LogLevel:Chat.Audit"] = "Information", ["Logging:Console:LogLevel:Chat.Audit"] = "None" });
        var log = LogCapture.Of(app, LogLevel.Information);
        var (alice, bob, admin) = (ChatApp.NewUser("alice-who-is-not-logged"), ChatApp.NewUser(), ChatApp.NewUser());
        var expired = app.TokenFor(alice, TimeSpan.FromMinutes(-5));

        await using var client = await app.Connect(alice);
        await client.Settle();
        await using (var late = await app.Open(bearer: expired))
            await late.Closed();
        await using (var forged = await app.Open("?token=a.b.c"))
            await forged.Closed();
        Assert.Equal(HttpStatusCode.Unauthorized, await Get(app, expired));
        Assert.Equal(HttpStatusCode.Unauthorized, await Get(app, "a.b.c"));
        await client.Block(bob);
        await client.Block(bob);
        await client.Unblock(bob);
        Assert.Equal(HttpStatusCode.Forbidden, await Revoke(app, app.TokenFor(bob), alice));
        Assert.Equal(HttpStatusCode.NoContent, await Revoke(app, app.TokenFor(admin, scope: "chat.admin"), alice));
        Assert.Equal(HttpStatusCode.NoContent, await app.SignOutEverywhere(app.TokenFor(bob)));

        // The reason: the end of each connection has its own entry, whenever the server processes it.
        await Eventually.Until("the ends are told", () => log.Of(AuditLog.Category).Count(IsEnd) >= 2);
        Assert.All(log.Of(AuditLog.Category).Where(IsEnd), line =>
            Assert.Matches(@"^Disconnected: user .* from .* on connection [0-9a-f-]{36}: 4501 \(not authorised\) after \d+ s$", line));
        var lines = log.Of(AuditLog.Category).Where(line => !IsEnd(line)).ToArray();
        bool IsEnd(string line) => line.StartsWith("Disconnected: ", StringComparison.Ordinal);
        string[] expected =
        [
            $"Signed in: user {alice.Id} on connection ",
            "Sign-in refused: TokenExpired on connection ",
            "Sign-in refused: TokenInvalid on connection ",
            "Request refused: TokenExpired at /chat/unread",
            "Request refused: TokenInvalid at /chat/unread",
            $"Blocked: user {bob.Id} by user {alice.Id}",
            $"Unblocked: user {bob.Id} by user {alice.Id}",
            $"Access denied: user {bob.Id} at /admin/users/{{id:guid}}/revoke",
            $"Tokens revoked: user {alice.Id} by administrator {admin.Id}",
            $"Signed out everywhere: user {bob.Id}",
        ];
        Assert.Equal(expected.Length, lines.Length);
        Assert.EndsWith($": Expired (iss {ChatApp.Issuer}, kid -)", lines[3], StringComparison.Ordinal);
        Assert.EndsWith(": Malformed (iss -, kid -)", lines[4], StringComparison.Ordinal);
        Assert.All(expected.Zip(lines), pair => Assert.StartsWith(pair.First, pair.Second, StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.Contains(alice.Username, StringComparison.Ordinal)
            || line.Contains(expired, StringComparison.Ordinal) || line.Contains("a.b.c", StringComparison.Ordinal));
    }

    private static Task<HttpStatusCode> Get(ChatApp app, string token) =>
        Send(app, token, new HttpRequestMessage(HttpMethod.Get, "/chat/unread"));

    private static Task<HttpStatusCode> Revoke(ChatApp app, string token, TestUser user) =>
        Send(app, token, new HttpRequestMessage(HttpMethod.Post, $"/admin/users/{user.Id}/revoke"));

    private static async Task<HttpStatusCode> Send(ChatApp app, string token, HttpRequestMessage request)
    {
        using var client = app.Http();
        request.Headers.Authorization = new("Bearer", token);
        return (await client.SendAsync(request)).StatusCode;
    }
}
