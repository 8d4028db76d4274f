using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text.Json;
using Chat.Features;
using Chat.Tests.Embedded;
using Chat.Tests.Fixtures;
using Npgsql;

namespace Chat.Tests.Start;

/// <summary>Production as a real process: a failed startup explains itself in one line, and a successful one works.</summary>
public sealed class ProductionStartTests
{
    [Fact]
    public async Task Missing_settings_are_named_in_one_line()
    {
        using var server = ServerProcess.Launch(Production.Nothing);

        var line = await RefusedWith(server);

        Assert.StartsWith(
            "Invalid configuration: ConnectionStrings__Postgres is required. ConnectionStrings__Redis is required. Jwt__Authority or Jwt__Key is required", line, StringComparison.Ordinal);
        Assert.Contains("Jwt__Issuer is required. Jwt__Audience is required.", line, StringComparison.Ordinal);
        Assert.Empty(server.Output);
    }

    [Fact]
    public async Task Dotnet_run_uses_the_environments_ASPNETCORE_ENVIRONMENT()
    {
#if DEBUG
        const string Configuration = "Debug";
#else
        const string Configuration = "Release";
#endif
        using var server = ServerProcess.LaunchBySdk(
            Production.Nothing, "--no-build", "-c", Configuration, "--project", Path.Combine(Checkout(), "src", "Chat"));

        Assert.StartsWith(
            "Invalid configuration: ConnectionStrings__Postgres is required.", await RefusedWith(server), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_postgres_that_never_answers_is_named_in_the_error()
    {
        var settings = await Production.Settings();
        settings["ConnectionStrings__Postgres"] = "Host=127.0.0.1;Port=1;Username=chat";
        settings["Storage__StartTimeout"] = "00:00:01";
        using var server = ServerProcess.Launch(settings);

        var line = await RefusedWith(server);

        Assert.StartsWith("PostgreSQL at 127.0.0.1:1 did not answer within 1 s: ", line, StringComparison.Ordinal);
        Assert.Contains("waiting at most 1 s", server.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_in_use_is_named_in_the_error()
    {
        var settings = await Production.Settings();
        await Run(settings, "db-apply");
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        settings["ASPNETCORE_URLS"] = $"http://{other.LocalEndpoint}";
        using var server = ServerProcess.Launch(settings);

        var line = await RefusedWith(server);

        Assert.Contains(
            $"http://{other.LocalEndpoint}: address already in use. Stop the process that uses it", line, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", server.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_schema_is_created_by_command_and_the_server_starts()
    {
        var settings = await Production.Settings();

        // The server never changes the schema here.
        using (var early = ServerProcess.Launch(settings))
            Assert.StartsWith($"The schema {settings["Storage__Schema"]} is missing or not of this version: run ", await RefusedWith(early),
                StringComparison.Ordinal);

        // The commands do not need Redis.
        var offline = new Dictionary<string, string>(settings) { ["ConnectionStrings__Redis"] = "127.0.0.1:1" };
        using var temp = new TempFolder();
        using (var assert = ServerProcess.Launch(offline, "db-assert"))
            Assert.Matches(
                @"^The schema \w+ is not the one of this version: \d+ missing \(.+, …\)\. Run db-apply; db-patch FILE shows what it would do\.$", await RefusedWith(assert));
        Assert.Equal(0, await Run(offline, "db-patch", temp.Below("patch.sql")));
        Assert.Contains("mt_doc_message", await File.ReadAllTextAsync(temp.Below("patch.sql")), StringComparison.Ordinal);
        Assert.Equal("patch.sql", Path.GetFileName(Assert.Single(Directory.GetFiles(Path.GetDirectoryName(temp.Below("patch.sql"))!))));
        foreach (var said in (string[])["has been updated to this version", "is up to date"])
        {
            using var apply = ServerProcess.Launch(offline, "db-apply");
            Assert.Equal((0, $"The schema {settings["Storage__Schema"]} {said}."), (await apply.Exit(), apply.Output));
        }

        using (var assert = ServerProcess.Launch(offline, "db-assert"))
            Assert.Equal(
                (0, $"The schema {settings["Storage__Schema"]} is the one of this version."), (await assert.Exit(), assert.Output));

        using var server = await ServerProcess.StartListening(settings);
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        using var http = new HttpClient(new ConformingHandler(new SocketsHttpHandler()))
        {
            BaseAddress = server.Address,
            DefaultRequestHeaders = { Authorization = new("Bearer", Production.TokenFor(alice)) }
        };
        Assert.Equal(HttpStatusCode.NotFound, (await http.PostAsJsonAsync("/dev/token", new { username = "mallory" })).StatusCode);
        await Eventually.UntilNoError(async () => (await http.GetAsync(new Uri("/health/ready",
            UriKind.Relative))) is { StatusCode: not HttpStatusCode.OK } refused ? await refused.Content.ReadAsStringAsync() : null);

        var opened = await http.PostAsJsonAsync("/chat/conversations", new { userId = bob.Id });
        var conversation = (await opened.Content.ReadFromJsonAsync<JsonElement>()).Id("id");
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(
            new Uri($"ws://{server.Address.Authority}/chat/ws?token={Production.TokenFor(alice)}"), CancellationToken.None);
        await using var client = new SocketClient(socket);
        Assert.Equal("message.sent", (await client.SendMessage(conversation, "from production", "t1")).Type);
        var history = await http.GetFromJsonAsync<JsonElement>($"/chat/conversations/{conversation}/messages");
        Assert.Equal("from production", Assert.Single(history.List("messages")).Text("content"));
        // Otherwise a token would stay in the logs.
        Assert.DoesNotContain("token=", server.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_role_without_schema_rights_fails_the_startup_in_one_line()
    {
        var settings = await Production.Settings();
        await using var admin = NpgsqlDataSource.Create((await TestServers.Get()).Postgres);
        var role = settings["Storage__Schema"];
        await using (var create = admin.CreateCommand($"create role {role} login password '{role}'"))
            await create.ExecuteNonQueryAsync();
        settings["ConnectionStrings__Postgres"] = new NpgsqlConnectionStringBuilder(
            settings["ConnectionStrings__Postgres"])
        { Username = role, Password = role }.ConnectionString;
        using var apply = ServerProcess.Launch(settings, "db-apply");

        var line = await RefusedWith(apply);

        Assert.StartsWith("PostgreSQL rejects a statement of db-apply: permission denied for database ", line, StringComparison.Ordinal);
        Assert.EndsWith("(42501). db-apply requires the role that owns the schema and its tables.", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Behind_a_proxy_https_is_required_and_a_database_without_fsync_is_reported()
    {
        var settings = await Production.Settings();
        settings["Proxies__Known"] = "127.0.0.1";
        Assert.Equal(0, await Run(settings, "db-apply"));
        using var server = await ServerProcess.StartListening(settings);
        using var http = new HttpClient { BaseAddress = server.Address, DefaultRequestHeaders = { Host = "chat.example" } };

        using var plain = await http.GetAsync(new Uri("/health/ready", UriKind.Relative));
        Assert.False(plain.Headers.Contains("Strict-Transport-Security"));
        http.DefaultRequestHeaders.Add("X-Forwarded-Proto", "https");
        using var secure = await http.GetAsync(new Uri("/health/ready", UriKind.Relative));
        Assert.Equal("max-age=31536000", secure.Headers.GetValues("Strict-Transport-Security").Single());

        // The tests' PostgreSQL is fast because it is not durable: exactly the one to warn about.
        await Eventually.UntilNoError(async () =>
        {
            using var answer = await http.GetAsync(new Uri("/health/ready", UriKind.Relative));
            var health = await answer.Content.ReadFromJsonAsync<JsonElement>();
            var isTold = (answer.StatusCode, health.Text("status")) == (HttpStatusCode.OK, "degraded")
                && health.Text("checks.postgres").Contains("fsync", StringComparison.Ordinal);
            return isTold ? null : $"{answer.StatusCode}: {health}";
        });
        await Eventually.Until("the log warns of it",
            () => server.Output.Contains("off: a power failure may lose acknowledged messages", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_failed_startup_is_reported_in_one_line()
    {
        using (var few = ServerProcess.LaunchWithin(300, await Production.Settings()))
            Assert.Contains("ulimit -n", await RefusedWith(few), StringComparison.Ordinal);
        using (var level = ServerProcess.Launch(
            new Dictionary<string, string>(await Production.Settings()) { ["Logging__LogLevel__Default"] = "Verbose" }))
            Assert.Contains("Logging__LogLevel__Default is not a log level", await RefusedWith(level), StringComparison.Ordinal);
        using (var formatter =
            ServerProcess.Launch(new Dictionary<string, string>(await Production.Settings()) { ["Secrets__Directory"] = "/nowhere" }))
            Assert.Contains(
                "Secrets__Directory is '/nowhere', which is not a directory", await RefusedWith(formatter), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Secrets_are_read_from_files()
    {
        using var secrets = new TempFolder();
        await File.WriteAllTextAsync(secrets.Below("Jwt__Key"), "short\n");
        using var server = ServerProcess.Launch(new Dictionary<string, string>(
            await Production.Settings())
        { ["Secrets__Directory"] = Path.GetDirectoryName(secrets.Below("Jwt__Key"))! });

        Assert.Equal(
            "Invalid configuration: Jwt__Key is too short; at least 32 bytes are required. Jwt__Key is too weak; it repeats a few characters.", await RefusedWith(server));
    }

    private static async Task<int> Run(IReadOnlyDictionary<string, string> settings, params string[] command)
    {
        using var server = ServerProcess.Launch(settings, command);
        return await server.Exit();
    }

    /// <summary>The single line of a failed startup.</summary>
    private static async Task<string> RefusedWith(ServerProcess server)
    {
        Assert.Equal(1, await server.Exit());
        Assert.DoesNotContain('\n', server.Errors);
        return server.Errors;
    }

    private static string Checkout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Chat.sln")))
            folder = Path.GetDirectoryName(folder)!;
        return folder;
    }
}
