using System.Net;
using Chat.Features;
using Chat.Socket;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Admin;

/// <summary>Temporary tracing of a user's frames in the log.</summary>
public sealed class TraceTests
{
    private static readonly Dictionary<string, string?> Told = new()
    {
        ["Logging:LogLevel:Chat.Socket.FrameTraces"] = "Information",
        ["Logging:Console:LogLevel:Chat.Socket.FrameTraces"] = "None"
    };
    private readonly TestUser alice = ChatApp.NewUser("alice-whose-name-is-not-shown");
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task Traced_frames_are_logged_with_event_id_size_and_outcome_but_without_content()
    {
        await using var admin = await AdminPort.Start(Told);
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        var conversation = await admin.App.OpenDirect(alice, bob);
        await using var atAlice = await admin.App.Connect(alice);
        await using var atBob = await admin.App.Connect(bob);
        await atAlice.Settle();
        var id = atAlice.All("auth_success").Single().Id("connectionId");
        var (secret, token) = ($"secret-{Guid.NewGuid():N}", admin.App.TokenFor(alice));
        Assert.Empty(log.Of<FrameTraces>());

        await admin.Answer(HttpMethod.Put, $"/trace/{alice.Id}", HttpStatusCode.OK);
        await atAlice.Send("message.send", new { conversationId = conversation, content = secret, tempId = "t1" }, "s1");
        await atAlice.ReplyTo("s1");
        await atAlice.Send("message.send", new { conversationId = conversation, content = "" }, "s2");
        await atAlice.ReplyTo("s2");
        // The client's own text, wherever a client may put it.
        await atAlice.Send(token, new { }, token);
        await atAlice.ReplyTo(token);
        await atAlice.Ask("auth", new { token });
        await atBob.SendMessage(conversation, secret);
        await atAlice.NextMessage();
        await atAlice.Settle();
        await admin.Answer(HttpMethod.Delete, $"/trace/{alice.Id}", HttpStatusCode.NoContent);
        await atAlice.Settle();

        var lines = log.Of<FrameTraces>();
        var start = $"Traced user {alice.Id}, connection {id}: ";
        Assert.All(lines, line => Assert.StartsWith(start, line, StringComparison.Ordinal));
        Assert.Contains(lines, line => Matches(line, "received message.send, id s1, ", @"\d+ bytes: ok in \d+ ms"));
        Assert.Contains(lines, line => Matches(line, "sent message.sent, id s1, ", @"\d+ bytes: queued"));
        Assert.Contains(lines, line => Matches(line, "received message.send, id s2, ", @"\d+ bytes: VALIDATION_ERROR in \d+ ms"));
        Assert.Contains(lines, line => Matches(line, "sent error, id s2, ", @"\d+ bytes: queued"));
        Assert.Contains(lines, line => Matches(line, "received unknown, id \\(not shown\\), ", @"\d+ bytes: UNKNOWN_EVENT in \d+ ms"));
        Assert.Contains(lines, line => Matches(line, "sent message.new, id -, ", @"\d+ bytes: queued"));
        Assert.DoesNotContain(log.All, line => line.Contains(secret, StringComparison.Ordinal)
            || line.Contains(token.Split('.')[^1], StringComparison.Ordinal) || line.Contains(alice.Username, StringComparison.Ordinal));
        var audit = log.Of(AuditLog.Category);
        Assert.Single(audit, line => line.StartsWith($"Operator at 127.0.0.1 traces user {alice.Id} until ", StringComparison.Ordinal));
        Assert.Single(audit, $"Operator at 127.0.0.1 ended the trace of user {alice.Id}: {lines.Count} frames logged, 0 omitted");

        bool Matches(string line, string what, string rest) =>
            System.Text.RegularExpressions.Regex.IsMatch(line, $"^{System.Text.RegularExpressions.Regex.Escape(start)}{what}{rest}$");
    }

    [Fact]
    public async Task A_trace_expires_and_is_logged_as_expired()
    {
        await using var admin = await AdminPort.Start(Told, fakeClock: true);
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        await using var client = await admin.App.Connect(alice);
        await admin.Answer(HttpMethod.Put, $"/trace/{alice.Id}?for=00:00:30", HttpStatusCode.OK);
        Assert.Single((await admin.Get("/trace")).List("traces"));
        await client.Settle();
        // The ping is logged once it was handled: the client may have its reply already.
        await Eventually.Until("both frames are logged", () => log.Of<FrameTraces>().Count >= 2);
        Assert.Equal(2, log.Of<FrameTraces>().Count);

        admin.App.Clock!.Advance(TimeSpan.FromSeconds(30));

        await client.Settle();
        Assert.Equal(2, log.Of<FrameTraces>().Count);
        Assert.Empty((await admin.Get("/trace")).List("traces"));
        Assert.Single(log.Of(AuditLog.Category), $"The trace of user {alice.Id} has expired: 2 frames logged, 0 omitted");
        await admin.Answer(HttpMethod.Delete, $"/trace/{alice.Id}", HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Tracing_is_rate_limited_and_reports_what_it_skipped()
    {
        // The clock stands still, so that the bucket does not refill.
        await using var admin = await AdminPort.Start(Told, fakeClock: true);
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        await using var client = await admin.App.Connect(alice);
        await admin.Answer(HttpMethod.Put, $"/trace/{alice.Id}", HttpStatusCode.OK);

        for (var i = 0; i < 150; i++)
            await client.Settle();
        await admin.Answer(HttpMethod.Delete, $"/trace/{alice.Id}", HttpStatusCode.NoContent);

        Assert.Equal(200, log.Of<FrameTraces>().Count);
        Assert.Single(
            log.Of(AuditLog.Category), $"Operator at 127.0.0.1 ended the trace of user {alice.Id}: 200 frames logged, 100 omitted");
    }

    [Fact]
    public async Task Traces_are_limited_in_number_and_time()
    {
        await using var admin = await AdminPort.Start();
        for (var i = 0; i < 10; i++)
            await admin.Answer(HttpMethod.Put, $"/trace/{Guid.NewGuid()}", HttpStatusCode.OK);

        await admin.Answer(HttpMethod.Put, $"/trace/{alice.Id}", HttpStatusCode.Conflict);

        foreach (var lasting in (string[])["00:00:00", "01:00:01", "5"])
            await admin.Answer(HttpMethod.Put, $"/trace/{alice.Id}?for={lasting}", HttpStatusCode.BadRequest);
    }
}
