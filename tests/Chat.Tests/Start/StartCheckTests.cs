using Chat.Hosting;
using Chat.Settings;
using Chat.Startup;
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
    public void Complete_settings_are_valid() => Check([]);

    [Theory]
    [InlineData("ConnectionStrings:Postgres", " ", "ConnectionStrings__Postgres is required.")]
    [InlineData("ConnectionStrings:Postgres", "postgres://a:b@c/d", "ConnectionStrings__Postgres is malformed")]
    [InlineData("ConnectionStrings:Postgres", "Host=x;Port=abc", "ConnectionStrings__Postgres is malformed")]
    [InlineData("ConnectionStrings:Postgres", "Username=x", "ConnectionStrings__Postgres is malformed")]
    [InlineData("ConnectionStrings:Redis", "redis://x:6379", "ConnectionStrings__Redis is malformed")]
    [InlineData("ConnectionStrings:Redis", "colour=blue", "ConnectionStrings__Redis is malformed")]
    [InlineData("Jwt:Key", "short", "Jwt__Key is too short")]
    [InlineData("Jwt:Key", "abababababababababababababababababababab", "Jwt__Key is too weak")]
    [InlineData("Jwt:Authority", "https://issuer.example", "Jwt__Authority and Jwt__Key are both set")]
    [InlineData("Jwt:Issuer", "", "Jwt__Issuer is required.")]
    [InlineData("Jwt:Audience", "", "Jwt__Audience is required.")]
    [InlineData("Limits:MaxFrameBytes", "abc", "Limits__MaxFrameBytes is not a whole number")]
    [InlineData("Limits:MaxFrameBytes", "2147483647", "Limits__MaxFrameBytes is not a whole number")]
    [InlineData("Limits:LogQueue", "0", "Limits__LogQueue is not a whole number")]
    [InlineData("Limits:SendQueueEvents", "-1", "Limits__SendQueueEvents is not a whole number")]
    [InlineData(
        "Limits:PingTimeout", "45", "Limits__PingTimeout is not a duration from 00:00:02 to 02:00:00: write hours:minutes:seconds.")]
    [InlineData("Limits:AuthTimeout", "-00:00:01", "Limits__AuthTimeout is not a duration")]
    [InlineData("Limits:PingTimeout", "00:00:31", "Limits__PingTimeout must be at least two seconds longer than Limits__PingInterval")]
    [InlineData("Limits:PingInterval", "00:00:30.5", "Limits__PingInterval and Limits__PingTimeout must be whole seconds")]
    [InlineData("Limits:MaxFrameBytes", "1", "Limits__MaxFrameBytes is not a whole number from 4096")]
    [InlineData("Limits:MaxFrameBytes", "48000", "Limits__MaxFrameBytes must be at least 49024 for a Limits__MaxContentLength of 4000")]
    [InlineData("Limits:MaxContentLength", "65536", "Limits__MaxFrameBytes must be at least")]
    [InlineData("Limits:SendQueueBytes", "65535", "Limits__SendQueueBytes must be at least Limits__MaxFrameBytes")]
    [InlineData("Limits:AuthTimeout", "00:00:00.001", "Limits__AuthTimeout is not a duration from 00:00:01")]
    [InlineData("Limits:WriteTimeout", "1", "Limits__WriteTimeout is not a duration")]
    [InlineData("Limits:DrainSpread", "23:00:00", "Limits__DrainSpread is not a duration from 00:00:00.1 to 00:00:20")]
    [InlineData("ConnectionStrings:Postgres", "Host=x;Command Timeout=0", "requires a 'Command Timeout' from 1 to 60 seconds")]
    [InlineData("ConnectionStrings:Postgres", "Host=x;CommandTimeout=0", "requires a 'Command Timeout' from 1 to 60 seconds")]
    [InlineData("ConnectionStrings:Postgres", "Host=x;Timeout=0", "requires a 'Timeout' from 1 to 60 seconds")]
    [InlineData("ConnectionStrings:Postgres", "Host=x;Maximum Pool Size=1", "requires a 'Maximum Pool Size' of at least 5")]
    [InlineData(
        "ConnectionStrings:Postgres", "Host=x;Maximum Pol Size=9", "'maximum pol size' is unknown; did you mean 'Maximum Pool Size'?")]
    [InlineData("ConnectionStrings:Postgres", "Host=x;Port=http", "the value of 'port' is invalid")]
    [InlineData("ConnectionStrings:Redis", "x:6379,passwort=y", "'passwort' is unknown; did you mean 'password'?")]
    [InlineData("ConnectionStrings:Redis", "x:6379,connectTimeout=soon", "the value of 'connectTimeout' is invalid")]
    [InlineData("Proxies:Known", "0.0.0.0/0", "Proxies__Known contains '0.0.0.0/0', which would trust nearly every address")]
    [InlineData("FORWARDEDHEADERS_ENABLED", "true", "ASPNETCORE_FORWARDEDHEADERS_ENABLED would trust headers of any sender")]
    [InlineData("Redis:Prefix", "chat*", "Redis__Prefix must consist")]
    [InlineData("Admin:Port", "65536", "Admin__Port is not a port")]
    [InlineData("Admin:Address", "localhost", "Admin__Address is not an IP address")]
    [InlineData("Web:Scope", "profile", "Web__Scope must contain openid")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https address")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "there", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not an http or https address")]
    [InlineData("OTEL_EXPORTER_OTLP_PROTOCOL", "http", "OTEL_EXPORTER_OTLP_PROTOCOL is neither grpc nor http/protobuf")]
    [InlineData("Logging:LogLevel:Default", "Verbose", "Logging__LogLevel__Default is not a log level: Trace, Debug,")]
    [InlineData("Logging:Console:LogLevel:Chat", "9", "Logging__Console__LogLevel__Chat is not a log level")]
    [InlineData("Logging:LogLevle:Default", "Debug", "Logging__LogLevle is unknown; did you mean Logging__LogLevel?")]
    [InlineData(
        "Logging:Console:FormatterNam", "json", "Logging__Console__FormatterNam is unknown; did you mean Logging__Console__FormatterName?")]
    [InlineData("Logging:Console:FormatterName", "jsn", "Logging__Console__FormatterName must be one of text, json, simple, systemd.")]
    [InlineData("Kestrel:Endpoint:Http:Url", "http://127.0.0.1:1", "Kestrel__Endpoint is unknown; did you mean Kestrel__Endpoints?")]
    [InlineData("HostOptions:ShutdownTimeout", "00:00:10", "HostOptions:ShutdownTimeout is unknown.")]
    [InlineData("http_ports", "80800", "ASPNETCORE_HTTP_PORTS must list ports")]
    [InlineData("https_ports", "https", "ASPNETCORE_HTTPS_PORTS must list ports")]
    [InlineData("urls", "127.0.0.1:8080", "ASPNETCORE_URLS contains '127.0.0.1:8080', which is not an address")]
    [InlineData("AllowedHosts", "https://chat.example", "AllowedHosts contains 'https://chat.example', which is not a host name")]
    [InlineData("AllowedHosts", "chat.example;other:8080", "AllowedHosts contains 'other:8080', which is not a host name")]
    [InlineData("OTEL_TRACES_SAMPLER", "sometimes", "OTEL_TRACES_SAMPLER must be one of always_on,")]
    [InlineData("OTEL_TRACES_SAMPLER_ARG", "7", "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1.")]
    [InlineData("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "OTEL_EXPORTER_OTLP_TIMEOUT is not a whole number of milliseconds.")]
    [InlineData("Limits:MaxFrameByte", "1", "Limits:MaxFrameByte is unknown; did you mean Limits:MaxFrameBytes?")]
    [InlineData("Limit:MaxErrors", "1", "Limit:MaxErrors is unknown; did you mean Limits:MaxErrors?")]
    [InlineData("Proxies:Know", "10.0.0.1", "Proxies:Know is unknown; did you mean Proxies:Known?")]
    [InlineData("Jwt:Audiance", "chat", "Jwt:Audiance is unknown; did you mean Jwt:Audience?")]
    [InlineData("Redis:Prefx", "chat", "Redis:Prefx is unknown; did you mean Redis:Prefix?")]
    [InlineData(
        "ConnectionStrings:Postgress", "Host=x", "ConnectionStrings:Postgress is unknown; did you mean ConnectionStrings:Postgres?")]
    [InlineData("Serilog:MinimumLevel", "Debug", "Serilog:MinimumLevel is unknown.")]
    [InlineData("Storage:Schema", "a; drop table b", "Storage__Schema must consist")]
    [InlineData("Storage:StartTimeout", "soon", "Storage__StartTimeout is not a duration")]
    [InlineData("Failpoints:AfterCommit", "hello", "Failpoints__AfterCommit injects faults")]
    [InlineData("Web:ClientId", "page", "Web__ClientId requires Jwt__Authority.")]
    public void Invalid_values_are_named_in_the_error(string setting, string value, string fault)
    {
        var refused = Assert.Throws<StartupException>(() => Check(new() { [setting] = value }));

        Assert.Contains(fault, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
    }

    [Theory]
    [InlineData("https://issuer.example", true, true)]
    [InlineData("http://127.0.0.1:8080/realm", true, true)]
    [InlineData("http://issuer.example", false, true)]
    [InlineData("issuer.example", false, false)]
    [InlineData("ftp://issuer.example", false, false)]
    public void Keys_are_only_fetched_over_https_or_the_loopback(string authority, bool inProduction, bool inDevelopment)
    {
        Dictionary<string, string?> settings = new() { ["Jwt:Key"] = null, ["Jwt:Authority"] = authority };
        Assert.Equal(inProduction, Record.Exception(() => Check(settings)) is null);
        Assert.Equal(inDevelopment, Record.Exception(() => Check(settings, Environments.Development)) is null);
    }

    [Fact]
    public void A_secret_in_a_malformed_connection_string_is_never_shown()
    {
        foreach (var (setting, value) in new[]
        {
            ("ConnectionStrings:Postgres", "Host=x;Password=hun;ter2-hunter2=y"),
            ("ConnectionStrings:Postgres", "Host=x;Port=hunter2"),
            ("ConnectionStrings:Redis", "x:1,password=hun,ter2-hunter2=y"),
            ("ConnectionStrings:Redis", "x:1,connectTimeout=hunter2"),
            ("Jwt:Key", "hunter2"),
        })
        {
            var refused = Assert.Throws<StartupException>(() => Check(new() { [setting] = value }));
            Assert.DoesNotContain("hunter2", refused.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("Prod", "did you mean Production?")]
    [InlineData("Developement", "did you mean Development?")]
    [InlineData("live", "ASPNETCORE_ENVIRONMENT must be one of Development, Staging, Production.")]
    public void An_unknown_environment_is_rejected(string name, string fault) =>
        Assert.Contains(fault, Assert.Throws<StartupException>(() => Check([], name)).Message, StringComparison.Ordinal);

    [Fact]
    public void Unknown_settings_are_checked_in_every_source_but_foreign_environment_variables_are_ignored()
    {
        string Faults(params string[] arguments) =>
            string.Join(' ', UnknownSettings.Validate(new ConfigurationBuilder().AddCommandLine(arguments).Build()));
        Assert.Equal("Jwt:Kye is unknown; did you mean Jwt:Key?", Faults("--Jwt:Kye=x"));
        Assert.Equal("url is unknown; did you mean urls?", Faults("--url", "http://localhost:1"));
        Assert.Equal("",
            Faults("--urls", "http://localhost:1", "--environment=Production", "--Logging:LogLevel:Default=Debug", "--Limits:maxerrors=3"));

        var prefix = $"T{Guid.NewGuid():N}_";
        foreach (var name in (string[])["Limit__MaxErrors", "Jwt__Audiance", "Serilog__MinimumLevel", "npm_config__x", "Path"])
            Environment.SetEnvironmentVariable(prefix + name, "x");
        var variables = UnknownSettings.Validate(new ConfigurationBuilder().AddEnvironmentVariables(prefix).Build());
        Assert.Equal(["Jwt__Audiance is unknown; did you mean Jwt__Audience?",
            "Limit__MaxErrors is unknown; did you mean Limits__MaxErrors?"], variables.Order());
    }

    [Fact]
    public void A_misspelled_variable_is_rejected_and_foreign_ones_are_ignored()
    {
        var variables = (string[])["ASPNETCORE_HTTP_PORT", "ASPNETCORE_URL", "OTEL_EXPORTER_OTLP_ENDPONT", "ASPNETCORE_URLS",
            "aspnetcore_environment", "ASPNETCORE_TOKEN", "OTEL_BSP_SCHEDULE_DELAY", "HTTP_PORT"];

        Assert.Equal(
            [
                "ASPNETCORE_HTTP_PORT is unknown; did you mean ASPNETCORE_HTTP_PORTS?",
                "ASPNETCORE_URL is unknown; did you mean ASPNETCORE_URLS?",
                "OTEL_EXPORTER_OTLP_ENDPONT is unknown; did you mean OTEL_EXPORTER_OTLP_ENDPOINT?",
            ],
            HostSettings.Validate(new ConfigurationBuilder().Build(), variables));
    }

    [Fact]
    public void The_admin_port_differs_from_the_servers_port()
    {
        foreach (var (setting, value) in new[] { ("http_ports", "80;8080"), ("urls", "http://*:8080") })
            Assert.Contains("Admin__Port is already used by the server itself", Assert.Throws<StartupException>(
                () => Check(new() { [setting] = value, ["Admin:Port"] = "8080" })).Message, StringComparison.Ordinal);
        Check(new()
        {
            ["http_ports"] = "8080",
            ["urls"] = "http://unix:/run/chat.sock;https://*:8443",
            ["AllowedHosts"] = "*.chat.example;[::1]",
            ["Admin:Port"] = "9464"
        });
    }

    [Fact]
    public void Failpoints_require_a_debug_build_outside_Production()
    {
        Check(new() { ["Failpoints:ClockOffset"] = "01:00:00" }, Environments.Staging);
        var refused = Assert.Throws<StartupException>(() => Check(new() { ["Failpoints:Afterwards"] = "hello" }, Environments.Staging));

        Assert.Contains("Failpoints__Afterwards is not a setting.", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unresponsive_postgres_is_given_up_eventually()
    {
        await using var nobody = NpgsqlDataSource.Create("Host=127.0.0.1;Port=1;Username=chat;Timeout=1");

        var clock = new FakeTimeProvider();
        var waiting = Start(nobody, timeout: "00:00:30", clock).WaitAsync();
        await Eventually.Until("it is given up", () =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return waiting.IsCompleted;
        });

        var refused = await Assert.ThrowsAsync<StartupException>(() => waiting);
        Assert.StartsWith("PostgreSQL at 127.0.0.1:1 did not answer within 30 s: ", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_postgres_that_rejects_connections_fails_at_once()
    {
        var database =
            new NpgsqlConnectionStringBuilder((await TestServers.Get()).Postgres) { Database = $"no{Guid.NewGuid():N}", Pooling = false };
        await using var refusing = NpgsqlDataSource.Create(database);

        var refused = await Assert.ThrowsAsync<StartupException>(Start(refusing, timeout: "23:00:00").WaitAsync);

        Assert.Contains(
            $"rejects the connection: database \"{database.Database}\" does not exist.", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failed_startup_is_reported_in_one_line()
    {
        Assert.Equal("The server failed with an internal error: InvalidOperationException: a fault of ours",
            StartupException.DescribeFailure(new InvalidOperationException("a fault\nof ours")));
        Assert.Contains("ulimit -n", StartupException.DescribeFailure(
            new TypeInitializationException("X", new IOException("Too many open files : '/x'"))), StringComparison.Ordinal);
        Assert.Equal("text", StartupException.DescribeFailure(new StartupException("text")));
        Assert.Equal("Failed to load appsettings.json. Not JSON.", StartupException.DescribeFailure(
            new InvalidDataException("Failed to load appsettings.json.", new FormatException("Not JSON."))));
        Assert.Equal("Stopped during startup.", StartupException.DescribeFailure(new TaskCanceledException()));
    }

    private static DatabaseStartup Start(NpgsqlDataSource database, string timeout, TimeProvider? time = null) => new(
        database,
        null!,
        new ConfigurationBuilder().AddInMemoryCollection([new("Storage:StartTimeout", timeout)]).Build(),
        time ?? TimeProvider.System,
        NullLogger<DatabaseStartup>.Instance);

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
        StartupValidator.ThrowIfInvalid(
            new ConfigurationBuilder().AddInMemoryCollection(all).Build(),
            new HostingEnvironment { EnvironmentName = environment ?? Environments.Production });
    }
}
