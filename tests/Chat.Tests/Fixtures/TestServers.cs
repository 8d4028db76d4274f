using Chat.Embedded;
using DotNet.Testcontainers.Builders;
using Testcontainers.PostgreSql;

namespace Chat.Tests.Fixtures;

/// <summary>
/// One PostgreSQL and one Redis for the whole test run: those that CHAT_TEST_POSTGRES and CHAT_TEST_REDIS name, otherwise ones of
/// its own. Nothing stops them, because xunit has no hook for the end of a run and the test host has 100 ms to exit: they end,
/// and their data is removed, when the test process is gone. Each test uses its own schema and key prefix.
/// </summary>
/// <param name="Postgres">The PostgreSQL connection string, for Npgsql.</param>
/// <param name="Redis">The Redis connection string, for StackExchange.Redis.</param>
public sealed record TestServers(string Postgres, string Redis)
{
    private const int Connections = 300;

    private static readonly Lazy<Task<TestServers>> OfThisRun = new(Start);

    /// <summary>Referenced for the whole run: once collected, its pipe would close and PostgreSQL would stop.</summary>
    private List<object> Running { get; init; } = [];

    /// <summary>Returns the servers of this test run, started on first use.</summary>
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

    /// <summary>
    /// Starts PostgreSQL in a container; null without a Docker engine. Testcontainers removes it when this process is gone.
    /// </summary>
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
