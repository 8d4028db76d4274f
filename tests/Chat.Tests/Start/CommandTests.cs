using Chat.Commands;
using Chat.Hosting;
using Chat.Tests.Embedded;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Configuration;

namespace Chat.Tests.Start;

/// <summary>The command-line interface.</summary>
public sealed class CommandTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("--environment Development", "", "--environment", "Development")]
    [InlineData("--environment=Development --contentRoot=/x", "", "--environment=Development", "--contentRoot=/x")]
    [InlineData("--environment Development db-apply", "db-apply", "--environment", "Development")]
    [InlineData("db-patch /tmp/patch.sql --Storage:Schema chat", "db-patch /tmp/patch.sql", "--Storage:Schema", "chat")]
    [InlineData("Storage:Schema=chat check", "check", "Storage:Schema=chat")]
    [InlineData("health http://127.0.0.1:8080/health/ready?exclude=redis", "health http://127.0.0.1:8080/health/ready?exclude=redis")]
    [InlineData("db-apply --help", "--help")]
    [InlineData("-h", "--help")]
    [InlineData("--version", "--version")]
    public void Commands_are_distinguished_from_settings(string line, string command, params string[] settings)
    {
        var parsed = CommandArguments.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries));

        Assert.Equal(command, string.Join(' ', [parsed.Name, .. parsed.Operands]));
        Assert.Equal(settings, parsed.Settings);
    }

    [Theory]
    [InlineData("db-aply", "Unknown command 'db-aply'; did you mean db-apply? See --help.")]
    [InlineData("strat-everything", "Unknown command 'strat-everything'. See --help.")]
    [InlineData("db-patch", "Usage: dotnet Chat.dll db-patch FILE. See --help.")]
    [InlineData("db-apply now", "Usage: dotnet Chat.dll db-apply. See --help.")]
    [InlineData("check check", "Usage: dotnet Chat.dll check. See --help.")]
    public void An_unknown_command_is_rejected(string line, string message) =>
        Assert.Equal(message, Assert.Throws<StartupException>(() => CommandArguments.Parse(line.Split(' '))).Message);

    [Theory]
    [InlineData("urls", "http://127.0.0.1:8080", "http://127.0.0.1:8080/health/ready")]
    [InlineData("urls", "http://[::]:80;https://*:443", "http://localhost/health/ready")]
    [InlineData("urls", "https://chat.example:8443", "https://chat.example:8443/health/ready")]
    [InlineData("http_ports", "8080;8081", "http://localhost:8080/health/ready")]
    [InlineData("https_ports", "8443", "https://localhost:8443/health/ready")]
    [InlineData("Kestrel:Endpoints:Main:Url", "http://+:9000", "http://localhost:9000/health/ready")]
    [InlineData("other", "", "http://localhost:5000/health/ready")]
    public void The_health_command_uses_the_configured_address(string name, string value, string address) =>
        Assert.Equal(new Uri(address), HealthCommand.OwnAddress(With(name, value), "ready"));

    [Theory]
    [InlineData("http://127.0.0.1:0")]
    [InlineData("http://unix:/run/chat.sock")]
    public void Without_a_configured_address_the_address_argument_is_required(string url) =>
        Assert.Contains("pass one", Assert.Throws<StartupException>(() => HealthCommand.OwnAddress(With("urls", url), "ready")).Message,
            StringComparison.Ordinal);

    [Fact]
    public async Task Help_and_version_need_no_settings()
    {
        var (help, text, errors) = await Run(Production.Nothing, "--help");
        Assert.Equal((0, ""), (help, errors));
        Assert.All(["check", "health", "token", "db-apply", "db-assert", "db-patch FILE", "db-new-epoch", "--version"],
            name => Assert.Contains(name, text, StringComparison.Ordinal));

        var (version, line, _) = await Run(Production.Nothing, "--version");
        Assert.Equal(0, version);
        Assert.Matches(@"^Chat \d+\.\d+\.\d+\S* \(\.NET 10\.[\d.]+\)$", line);
    }

    [Fact]
    public async Task The_startup_check_reports_all_errors_at_once()
    {
        var settings = await Production.Settings();
        Assert.Equal(
            (1, "settings  FAILED: Jwt__Issuer is required.\nsettings  FAILED: Limits__MaxFrameByte is unknown; did you mean Limits__MaxFrameBytes?"),
            await Told(new(settings) { ["Jwt__Issuer"] = "", ["Limits__MaxFrameByte"] = "1" }, "check"));

        var (missing, before) = await Told(settings, "check");
        Assert.Equal(1, missing);
        Assert.Matches(
            @"(?m)^schema +FAILED: The schema \w+ is not the one of this version: \d+ missing \(.*, …\)\. Run db-apply\.$", before);

        Assert.Equal(0, (await Run(settings, "db-apply")).Code);
        var (right, after) = await Told(settings, "check");
        Assert.Equal((0, ""), (right, string.Join('\n', after.Split('\n').Where(line => !line.Contains(" ok", StringComparison.Ordinal)))));
        Assert.Equal(
            ["settings", "files", "postgres", "schema", "clock", "redis", "issuer"], after.Split('\n').Select(line => line.Split(' ')[0]));

        var (away, faults) = await Told(new(settings)
        {
            ["ConnectionStrings__Postgres"] = "Host=127.0.0.1;Port=1;Username=chat",
            ["ConnectionStrings__Redis"] = "127.0.0.1:1"
        }, "check");
        Assert.Equal(1, away);
        Assert.All(["postgres", "schema", "clock", "redis"], part => Assert.Matches($"(?m)^{part} +FAILED: ", faults));
        Assert.DoesNotContain("   at ", faults, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_health_command_asks_the_running_server()
    {
        var settings = await Production.Settings();
        Assert.Equal(0, (await Run(settings, "db-apply")).Code);
        using var server = await ServerProcess.StartListening(settings);
        settings["ASPNETCORE_URLS"] = server.Address.ToString();
        settings["AllowedHosts"] = "chat.example";

        var (live, text, _) = await Run(settings, "health", "live");
        Assert.Equal((0, """{"status":"ok","checks":{}}"""), (live, text));
        Assert.Equal(1, (await Run(settings, "health", "nowhere")).Code);
        await Eventually.UntilNoError(async () => await Run(settings, "health") is { Code: not 0 } refused ? refused.Errors : null);

        server.Kill();
        await server.Exit();
        var (gone, _, errors) = await Run(settings, "health");
        Assert.Equal(1, gone);
        Assert.StartsWith($"No server answered at {server.Address}health/ready: ", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_reason_for_rejecting_a_token_is_explained()
    {
        var settings = await Production.Settings();
        var alice = ChatApp.NewUser();
        var token = Production.TokenFor(alice);

        var (accepted, text) = await Told(settings, "token", token);
        Assert.Equal(0, accepted);
        Assert.Contains($"verdict   accepted, as user {alice.Id}", text, StringComparison.Ordinal);
        Assert.DoesNotContain(token.Split('.')[2], text, StringComparison.Ordinal);

        var (refused, why) = await Told(new(settings) { ["Jwt__Audience"] = "somebody-else" }, "token", $"Bearer {token}");
        Assert.Equal(1, refused);
        Assert.Contains("aud       chat\n", why, StringComparison.Ordinal);
        Assert.Contains("verdict   refused: its aud is not Jwt__Audience (somebody-else)", why, StringComparison.Ordinal);

        Assert.Contains("refused: it is not signed with Jwt__Key or Jwt__PreviousKey", (await Told(
            new(settings) { ["Jwt__Key"] = "another key, long enough for HS256 as well" }, "token", token)).Text, StringComparison.Ordinal);
        Assert.Equal((1, "verdict   refused: it is not a JWT: three parts of base64url, separated by dots"),
            await Told(settings, "token", "rubbish"));
    }

    private static IConfiguration With(string name, string value) =>
        new ConfigurationBuilder().AddInMemoryCollection([new(name, value)]).Build();

    private static async Task<(int Code, string Text)> Told(Dictionary<string, string> settings, params string[] command)
    {
        var (code, text, errors) = await Run(settings, command);
        Assert.Equal("", errors);
        return (code, text);
    }

    private static async Task<(int Code, string Text, string Errors)> Run(
        IReadOnlyDictionary<string, string> settings, params string[] command)
    {
        using var program = ServerProcess.Launch(settings, command);
        var code = await program.Exit();
        return (code, program.Output.ReplaceLineEndings("\n"), program.Errors);
    }
}
