using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace Chat.Tests.Start;

public sealed class StartCheckTests
{
    [Fact]
    public void Complete_settings_pass() => Check([]);

    [Theory]
    [InlineData("ConnectionStrings:Postgres", " ", "ConnectionStrings__Postgres is missing.")]
    [InlineData("ConnectionStrings:Postgres", "postgres://a:b@c/d", "ConnectionStrings__Postgres is malformed")]
    [InlineData("ConnectionStrings:Postgres", "Host=x;Port=abc", "ConnectionStrings__Postgres is malformed")]
    [InlineData("ConnectionStrings:Postgres", "Username=x", "ConnectionStrings__Postgres is malformed")]
    [InlineData("ConnectionStrings:Redis", "redis://x:6379", "ConnectionStrings__Redis is malformed")]
    [InlineData("ConnectionStrings:Redis", "colour=blue", "ConnectionStrings__Redis is malformed")]
    [InlineData("Jwt:Key", "short", "Jwt__Key is too short")]
    [InlineData("Jwt:Key", "abababababababababababababababababababab", "Jwt__Key is too weak")]
    [InlineData("Jwt:Authority", "https://issuer.example", "Jwt__Authority and Jwt__Key are both set")]
    [InlineData("Jwt:Issuer", "", "Jwt__Issuer is missing.")]
    [InlineData("Jwt:Audience", "", "Jwt__Audience is missing.")]
    [InlineData("Limits:MaxFrameBytes", "abc", "Limits__MaxFrameBytes is not a whole number")]
    [InlineData("Limits:MaxFrameBytes", "2147483647", "Limits__MaxFrameBytes is not a whole number")]
    [InlineData("Limits:LogQueue", "0", "Limits__LogQueue is not a whole number")]
    [InlineData("Limits:SendQueueEvents", "-1", "Limits__SendQueueEvents is not a whole number")]
    [InlineData("Limits:PingTimeout", "45", "Limits__PingTimeout is not a time")]
    [InlineData("Limits:AuthTimeout", "-00:00:01", "Limits__AuthTimeout is not a time")]
    [InlineData("Limits:PingTimeout", "00:00:30", "Limits__PingTimeout must be longer than Limits__PingInterval")]
    [InlineData("Limits:MaxFrameByte", "1", "Limits__MaxFrameByte is not a setting.")]
    [InlineData("Storage:Schema", "a; drop table b", "Storage__Schema takes")]
    [InlineData("Storage:StartTimeout", "soon", "Storage__StartTimeout is not a time")]
    [InlineData("Failpoints:AfterCommit", "hello", "Failpoints__AfterCommit breaks the server on purpose")]
    [InlineData("Web:ClientId", "page", "Web__ClientId names the web client to an issuer, but Jwt__Authority is missing.")]
    public void What_cannot_be_right_is_named(string setting, string value, string fault)
    {
        var refused = Assert.Throws<StartException>(() => Check(new() { [setting] = value }));

        Assert.Contains(fault, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Theory]
    [InlineData("https://issuer.example", true, true)]
    [InlineData("http://127.0.0.1:8080/realm", true, true)]
    [InlineData("http://issuer.example", false, true)]
    [InlineData("issuer.example", false, false)]
    [InlineData("ftp://issuer.example", false, false)]
    public void Keys_come_over_https_or_the_loopback(string authority, bool inProduction, bool inDevelopment)
    {
        Dictionary<string, string?> settings = new() { ["Jwt:Key"] = null, ["Jwt:Authority"] = authority };
        Assert.Equal(inProduction, Record.Exception(() => Check(settings)) is null);
        Assert.Equal(inDevelopment, Record.Exception(() => Check(settings, Environments.Development)) is null);
    }

    [Fact]
    public void Failpoints_are_for_debug_builds_outside_of_production()
    {
        Check(new() { ["Failpoints:ClockOffset"] = "01:00:00" }, Environments.Staging);
        var refused = Assert.Throws<StartException>(() => Check(new() { ["Failpoints:Afterwards"] = "hello" }, Environments.Staging));

        Assert.Contains("Failpoints__Afterwards is not a setting.", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_postgres_that_does_not_answer_is_given_up_in_the_end()
    {
        await using var nobody = NpgsqlDataSource.Create("Host=127.0.0.1;Port=1;Username=chat;Timeout=1");

        var clock = new FakeTimeProvider();
        var waiting = Start(nobody, patience: "00:00:30", clock).WaitAsync();
        await Eventually.Holds("it is given up", () =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return waiting.IsCompleted;
        });

        var refused = await Assert.ThrowsAsync<StartException>(() => waiting);
        Assert.StartsWith("PostgreSQL at 127.0.0.1:1 did not answer for 30 s: ", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_postgres_that_refuses_is_not_waited_for()
    {
        var database = new NpgsqlConnectionStringBuilder((await TestServers.Get()).Postgres) { Database = $"no{Guid.NewGuid():N}", Pooling = false };
        await using var refusing = NpgsqlDataSource.Create(database);

        var refused = await Assert.ThrowsAsync<StartException>(Start(refusing, patience: "23:00:00").WaitAsync);

        Assert.Contains($"refuses us: database \"{database.Database}\" does not exist.", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_reasons_outside_the_program_become_one_line()
    {
        Assert.Null(StartException.LineFor(new InvalidOperationException("a fault of ours")));
        Assert.Null(StartException.LineFor(new IOException("disk")));
        Assert.Equal("text", StartException.LineFor(new StartException("text")));
        Assert.Equal("Failed to load appsettings.json. Not JSON.", StartException.LineFor(new InvalidDataException("Failed to load appsettings.json.", new FormatException("Not JSON."))));
        Assert.Equal("Stopped before the start was complete.", StartException.LineFor(new TaskCanceledException()));
    }

    private static DatabaseStart Start(NpgsqlDataSource database, string patience, TimeProvider? time = null) => new(
        database,
        null!,
        new ConfigurationBuilder().AddInMemoryCollection([new("Storage:StartTimeout", patience)]).Build(),
        time ?? TimeProvider.System,
        NullLogger<DatabaseStart>.Instance);

    private static void Check(Dictionary<string, string?> settings, string? environment = null)
    {
        Dictionary<string, string?> all = new()
        {
            ["ConnectionStrings:Postgres"] = "Host=db;Username=chat;Password=secret;Database=chat",
            ["ConnectionStrings:Redis"] = "redis:6379,password=secret",
            ["Jwt:Key"] = ChatApp.Key,
            ["Jwt:Issuer"] = "issuer",
            ["Jwt:Audience"] = "chat",
        };
        foreach (var (key, value) in settings)
            all[key] = value;
        StartCheck.Run(
            new ConfigurationBuilder().AddInMemoryCollection(all).Build(),
            new HostingEnvironment { EnvironmentName = environment ?? Environments.Production });
    }
}
