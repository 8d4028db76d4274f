using Chat.Embedded;
using DotNet.Testcontainers.Builders;
using Testcontainers.PostgreSql;

namespace Chat.Tests.Fixtures;

/// <summary>
/// One PostgreSQL and one Redis for the whole test run: those that CHAT_TEST_POSTGRES and CHAT_TEST_REDIS name, else
/// ones of its own. Nothing stops them, because xunit has no hook for the end of a run and the test host has 100 ms for
/// its exit: they end, and their data go, when the test process is gone. Whoever uses them takes a schema and a key
/// prefix of its own.
/// </summary>
/// <param name="Postgres">Connection string of PostgreSQL, for Npgsql.</param>
/// <param name="Redis">Connection string of Redis, for StackExchange.Redis.</param>
public sealed record TestServers(string Postgres, string Redis)
{
    private const int Connections = 300;

    private static readonly Lazy<Task<TestServers>> OfThisRun = new(Start);

    /// <summary>Held for the whole run: what nobody holds is collected, and PostgreSQL would stop as its pipe closes.</summary>
    private List<object> Running { get; init; } = [];

    /// <summary>The servers of this test run, started by whoever asks first.</summary>
    public static Task<TestServers> Get() => OfThisRun.Value;

    private static async Task<TestServers> Start()
    {
        List<object> running = [];
        var postgres = Environment.GetEnvironmentVariable("CHAT_TEST_POSTGRES") ?? await StartContainer() ?? await StartEmbedded();
        var redis = Environment.GetEnvironmentVariable("CHAT_TEST_REDIS") ?? StartRedis();
        return new TestServers(postgres, redis) { Running = running };

        async Task<string> StartEmbedded()
        {
            var embedded = await EmbeddedPostgres.StartAsync(new()
            {
                DataPath = Path.Combine(Path.GetTempPath(), $"chat-tests-{Guid.NewGuid():N}"),
                ThrowAway = true,
                MaxConnections = Connections,
            });
            running.Add(embedded);
            return embedded.ConnectionString;
        }

        string StartRedis()
        {
            var embedded = EmbeddedRedis.Start();
            running.Add(embedded);
            return embedded.ConnectionString;
        }
    }

    /// <summary>Null where no Docker engine answers. Testcontainers removes the container when this process is gone.</summary>
    private static async Task<string?> StartContainer()
    {
        try
        {
            var container = new PostgreSqlBuilder("postgres:17-alpine")
                .WithCommand("-c", "fsync=off", "-c", $"max_connections={Connections}")
                .Build();
            await container.StartAsync();
            return container.GetConnectionString();
        }
        catch (DockerUnavailableException)
        {
            return null;
        }
    }
}
