using System.IO.Compression;
using System.Net;
using System.Text.Json;
using Chat.Features;
using Chat.Settings;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Chat.Tests.Admin;

/// <summary>The debug bundle: one file with a node's state and without secrets.</summary>
public sealed class DebugBundleTests
{
    private static readonly string[] Parts = ["about.json", "settings.txt", "readiness.json", "connections.json", "log-levels.txt",
        "runtime.json", "schema.txt", "metrics.txt", "log.txt"];

    [Fact]
    public async Task The_bundle_contains_the_nodes_state()
    {
        await using var admin = await AdminPort.Start(new() { ["Limits:MaxErrors"] = "77" });
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        await using var client = await admin.App.Connect(ChatApp.NewUser());
        await client.Settle();
        var id = client.All("auth_success").Single().Id("connectionId");

        var bundle = await Read(admin);

        Assert.Equal(Parts, bundle.Keys);
        Assert.Equal(
            admin.App.Services.GetRequiredService<DatabaseEpoch>().Epoch, Json(bundle["about.json"]).Id("epoch"));
        Assert.Contains("Limits:MaxErrors = 77\n", bundle["settings.txt"], StringComparison.Ordinal);
        Assert.Contains("Limits:LogQueue = (default) 8192", bundle["settings.txt"], StringComparison.Ordinal);
        Assert.Matches(
            @"(?m)^ConnectionStrings:Postgres = Host=[^;]+;(.*;)?Maximum Pool Size=20;… \(set, not shown\)$", bundle["settings.txt"]);
        Assert.DoesNotContain("Command Timeout", bundle["settings.txt"], StringComparison.Ordinal);
        Assert.Contains("Jwt:Key = (set, not shown)\n", bundle["settings.txt"], StringComparison.Ordinal);
        Assert.Contains("Jwt:PreviousKey = (not set)\n", bundle["settings.txt"], StringComparison.Ordinal);
        Assert.Equal(5, Json(bundle["readiness.json"]).Field("checks").EnumerateObject().Count());
        Assert.Equal(1, Json(bundle["connections.json"]).Number("total.signedIn"));
        Assert.True(Json(bundle["runtime.json"]).Number("heapBytes") > 0);
        Assert.Matches("^The schema t[0-9a-f]{32} is the one of this version.$", bundle["schema.txt"]);
        Assert.Contains("# TYPE ", bundle["metrics.txt"], StringComparison.Ordinal);
        Assert.Matches($@"(?m)^\d{{4}}-\d\d-\d\dT.*info .*Chat.Audit\[1\] Signed in: user .* on connection {id}", bundle["log.txt"]);
        Assert.Single(log.Of(AuditLog.Category), "Operator at 127.0.0.1 took a debug bundle");
    }

    [Fact]
    public async Task The_bundle_contains_no_secret_token_name_or_content()
    {
        var previous = $"previous-key-{Guid.NewGuid():N}";
        await using var admin =
            await AdminPort.Start(new()
            {
                ["Admin:Token"] = AdminPort.Token,
                ["Jwt:PreviousKey"] = previous,
                ["Logging:LogLevel:Default"] =
                "Trace",
                ["Logging:Console:LogLevel:Default"] = "None",
                ["Logging:Debug:LogLevel:Default"] = "None"
            });
        admin.Http.DefaultRequestHeaders.Authorization = new("Bearer", AdminPort.Token);
        var (alice, bob) = (ChatApp.NewUser($"alice-{Guid.NewGuid():N}"), ChatApp.NewUser());
        var (content, token) = ($"content-{Guid.NewGuid():N}", admin.App.TokenFor(alice));
        var conversation = await admin.App.OpenDirect(alice, bob);
        await admin.Answer(HttpMethod.Put, $"/trace/{alice.Id}", HttpStatusCode.OK);
        await using (var atAlice = await admin.App.Open($"?token={token}"))
        {
            await atAlice.Next("auth_success");
            await atAlice.SendMessage(conversation, content);
            await atAlice.Ask("auth", new { token });
        }

        var bundle = await Read(admin);

        var servers = await TestServers.Get();
        string?[] secrets =
        [
            AdminPort.Token, previous, ChatApp.Key, content, token.Split('.')[^1], alice.Username,
            new NpgsqlConnectionStringBuilder(servers.Postgres).Password,
            StackExchange.Redis.ConfigurationOptions.Parse(servers.Redis).Password,
        ];
        Assert.True(secrets.Count(secret => secret?.Length > 0) >= 6);
        Assert.All(bundle, part => Assert.All(secrets.OfType<string>().Where(secret => secret.Length > 8),
            secret => Assert.DoesNotContain(secret, part.Value, StringComparison.Ordinal)));
        Assert.Contains(Lines(bundle["log.txt"]), line => line.Contains("Traced user", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_check_that_times_out_is_reported_without_failing_the_bundle()
    {
        var servers = await TestServers.Get();
        await using var admin = await AdminPort.Start(
            new() { ["ConnectionStrings:Postgres"] = $"{servers.Postgres};Maximum Pool Size=6;Timeout=60" }, fakeClock: true);
        var log = LogCapture.Of(admin.App, LogLevel.Information);
        var pool = admin.App.Services.GetRequiredService<NpgsqlDataSource>();
        var held = new List<NpgsqlConnection>();
        while (held.Count < 6)
            held.Add(await pool.OpenConnectionAsync());

        var first = Read(admin);
        await Eventually.Until("the first is under way", () => log.Of(AuditLog.Category).Count == 1);
        using (var second = await admin.Send(HttpMethod.Get, "/debug-bundle"))
            await second.IsProblem(HttpStatusCode.TooManyRequests, "RATE_LIMITED");
        await Eventually.Until("the first is there", () =>
        {
            admin.App.Clock!.Advance(TimeSpan.FromSeconds(1));
            return first.IsCompleted;
        });

        var bundle = await first;
        Assert.StartsWith("Not available: ", bundle["schema.txt"], StringComparison.Ordinal);
        Assert.Equal(Parts, bundle.Keys);
        Assert.Contains("Chat.Audit[41]", bundle["log.txt"], StringComparison.Ordinal);
        foreach (var connection in held)
            await connection.DisposeAsync();
        // The call can be repeated.
        var again = Read(admin);
        await Eventually.Until("the next is there", () =>
        {
            admin.App.Clock!.Advance(TimeSpan.FromMilliseconds(1));
            return again.IsCompleted;
        });
        Assert.Equal(Parts, (await again).Keys);
    }

    [Theory]
    [InlineData("https://issuer.example", "https://issuer.example")]
    [InlineData("https://user:secret@issuer.example/realm", "https://…@issuer.example/realm")]
    [InlineData("http://collector:4317/v1?api-key=secret", "http://collector:4317/v1?…")]
    [InlineData("chat.example;*.chat.example", "chat.example;*.chat.example")]
    public void An_address_is_shown_without_its_secrets(string value, string shown) => Assert.Equal(shown, SettingsReport.Shown(value));

    [Fact]
    public async Task The_bundled_log_is_limited()
    {
        await using var admin = await AdminPort.Start(
            new() { ["Logging:LogLevel:Chat.Noise"] = "Information", ["Logging:Console:LogLevel:Chat.Noise"] = "None" });
        var noise = admin.App.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Chat.Noise");
        for (var i = 0; i < 700; i++)
            Told(noise, i, null);

        var lines = Lines((await Read(admin))["log.txt"]);

        Assert.Equal(500, lines.Length);
        Assert.Contains("Line 699", string.Join('\n', lines[^5..]), StringComparison.Ordinal);
        Assert.DoesNotContain(lines, line => line.EndsWith("Line 100", StringComparison.Ordinal));
    }

    private static readonly Action<ILogger, int, Exception?> Told =
        LoggerMessage.Define<int>(LogLevel.Information, new EventId(1), "Line {Number}");

    private static async Task<Dictionary<string, string>> Read(AdminPort admin)
    {
        using var answer = await admin.Send(HttpMethod.Get, "/debug-bundle");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("application/zip", answer.Content.Headers.ContentType?.MediaType);
        Assert.Matches(@"^chat-.*\.zip$", answer.Content.Headers.ContentDisposition!.FileName!.Trim('"'));
        using var zip = new ZipArchive(await answer.Content.ReadAsStreamAsync());
        var parts = new Dictionary<string, string>();
        foreach (var entry in zip.Entries)
        {
            using var reader = new StreamReader(entry.Open());
            parts.Add(entry.FullName, await reader.ReadToEndAsync());
        }

        return parts;
    }

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static string[] Lines(string text) => text.Split('\n');
}
