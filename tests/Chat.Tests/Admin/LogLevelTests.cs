using System.Net;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Admin;

/// <summary>Log levels changed at runtime.</summary>
public sealed class LogLevelTests
{
    [Fact]
    public async Task A_log_level_applies_at_once_until_it_is_reset()
    {
        await using var admin = await AdminPort.Start();
        var audit = LogCapture.Of(admin.App, LogLevel.Information);
        var loud = Logger(admin, "Chat.Loud.Part");
        Assert.False(loud.IsEnabled(LogLevel.Debug));

        var set = await admin.Answer(HttpMethod.Put, "/log-level?category=Chat.Loud&level=debug", HttpStatusCode.OK);

        Assert.Equal("""[{"category":"Chat.Loud","level":"Debug"}]""", set.Field("set").GetRawText());
        Assert.Equal("Warning", set.Text("configured.Default"));
        Assert.True(loud.IsEnabled(LogLevel.Debug));
        Assert.True(Logger(admin, "Chat.Loud.Later").IsEnabled(LogLevel.Debug));
        Assert.False(Logger(admin, "Chat.Quiet").IsEnabled(LogLevel.Debug));

        Assert.Equal("[]",
            (await admin.Answer(HttpMethod.Delete, "/log-level?category=Chat.Loud", HttpStatusCode.OK)).Field("set").GetRawText());

        Assert.False(loud.IsEnabled(LogLevel.Debug));
        await admin.Answer(HttpMethod.Delete, "/log-level?category=Chat.Loud", HttpStatusCode.NotFound);
        Assert.Equal(
            ["Operator at 127.0.0.1 set the log level of Chat.Loud to Debug until it is reset",
            "Operator at 127.0.0.1 reset the log level of Chat.Loud to the configured one"],
            audit.Of(AuditLog.Category));
    }

    [Fact]
    public async Task A_level_with_a_duration_expires_and_a_later_one_replaces_it()
    {
        await using var admin = await AdminPort.Start(fakeClock: true);
        var audit = LogCapture.Of(admin.App, LogLevel.Information);
        var logger = Logger(admin, "Chat.Loud");

        await admin.Answer(HttpMethod.Put, "/log-level?category=Chat.Loud&level=trace&for=00:05:00", HttpStatusCode.OK);
        admin.App.Clock!.Advance(TimeSpan.FromMinutes(4));
        await admin.Answer(HttpMethod.Put, "/log-level?category=chat.loud&level=debug&for=00:05:00", HttpStatusCode.OK);
        admin.App.Clock.Advance(TimeSpan.FromMinutes(4));
        Assert.True(logger.IsEnabled(LogLevel.Debug));
        Assert.False(logger.IsEnabled(LogLevel.Trace));

        admin.App.Clock.Advance(TimeSpan.FromMinutes(2));

        Assert.False(logger.IsEnabled(LogLevel.Debug));
        Assert.Equal("[]", (await admin.Get("/log-level")).Field("set").GetRawText());
        Assert.Equal("The log level of chat.loud has expired and is reset to the configured one", audit.Of(AuditLog.Category)[^1]);
        Assert.Equal(3, audit.Of(AuditLog.Category).Count);
    }

    [Fact]
    public async Task Default_covers_all_categories_without_a_level_of_their_own()
    {
        await using var admin = await AdminPort.Start(new()
        {
            // Each with rules for all providers and for a single one.
            ["Logging:LogLevel:Chat.Named"] = "Error",
            ["Logging:LogLevel:Chat.Own"] = "Error",
            ["Logging:Console:LogLevel:Chat.Own"] = "Critical",
            ["Logging:Debug:LogLevel:Default"] = "None",
        });

        await admin.Answer(HttpMethod.Put, "/log-level?category=Default&level=information", HttpStatusCode.OK);

        Assert.True(Logger(admin, "Elsewhere").IsEnabled(LogLevel.Information));
        Assert.False(Logger(admin, "Chat.Named.Part").IsEnabled(LogLevel.Information));
        Assert.False(Logger(admin, "Chat.Own.Part").IsEnabled(LogLevel.Information));
        await admin.Answer(HttpMethod.Delete, "/log-level", HttpStatusCode.OK);
        Assert.False(Logger(admin, "Elsewhere").IsEnabled(LogLevel.Information));
    }

    [Fact]
    public async Task The_audit_log_and_categories_that_log_tokens_keep_their_levels()
    {
        await using var admin = await AdminPort.Start();
        var audit = Logger(admin, AuditLog.Category);
        var requests = Logger(admin, "Microsoft.AspNetCore.Server.Kestrel.BadRequests");

        await admin.Answer(HttpMethod.Put, "/log-level?category=Default&level=none", HttpStatusCode.OK);
        await admin.Answer(HttpMethod.Put, "/log-level?category=Chat&level=none", HttpStatusCode.OK);
        using (var refused = await admin.Send(HttpMethod.Put, "/log-level?category=chat.audit&level=none"))
            await refused.IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", "category");
        await admin.Answer(
            HttpMethod.Put, "/log-level?category=Microsoft.AspNetCore.Server.Kestrel.BadRequests&level=trace", HttpStatusCode.OK);

        Assert.True(audit.IsEnabled(LogLevel.Information));
        Assert.False(Logger(admin, "Chat.Socket").IsEnabled(LogLevel.Critical));
        Assert.False(requests.IsEnabled(LogLevel.Debug));
    }

    [Theory]
    [InlineData("?level=debug", "category")]
    [InlineData("?category=Chat", "level")]
    [InlineData("?category=Chat&level=loud", "level")]
    [InlineData("?category=Chat&level=1", "level")]
    [InlineData("?category=Microsoft.*BadRequests&level=trace", "category")]
    [InlineData("?category=Chat&level=debug&for=60", "for")]
    [InlineData("?category=Chat&level=debug&for=24:00:00", "for")]
    [InlineData("?category=Chat&level=debug&duration=00:01:00", null)]
    public async Task Invalid_levels_are_rejected(string query, string? field)
    {
        await using var admin = await AdminPort.Start();

        using var answer = await admin.Send(HttpMethod.Put, $"/log-level{query}");

        await answer.IsProblem(HttpStatusCode.BadRequest, "VALIDATION_ERROR", field);
        Assert.Equal("[]", (await admin.Get("/log-level")).Field("set").GetRawText());
    }

    [Fact]
    public async Task The_number_of_commands_is_fixed()
    {
        await using var admin = await AdminPort.Start();
        for (var i = 0; i < 20; i++)
            await admin.Answer(HttpMethod.Put, $"/log-level?category=Chat.Part{i}&level=debug", HttpStatusCode.OK);

        await admin.Answer(HttpMethod.Put, "/log-level?category=Chat.Part20&level=debug", HttpStatusCode.Conflict);

        await admin.Answer(HttpMethod.Put, "/log-level?category=Chat.Part1&level=trace", HttpStatusCode.OK);
    }

    private static ILogger Logger(AdminPort admin, string category) =>
        admin.App.Services.GetRequiredService<ILoggerFactory>().CreateLogger(category);
}
