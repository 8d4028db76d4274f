using Chat.Hosting;

namespace Chat.Embedded;

/// <summary>
/// Starts PostgreSQL and Redis for a developer who has configured neither; in Development only. The data are in <c>.data</c> under
/// the content root, or where <c>Embedded:DataPath</c> says.
/// </summary>
internal sealed class EmbeddedServers : IAsyncDisposable
{
    private EmbeddedPostgres? postgres;
    private EmbeddedRedis? redis;

    private EmbeddedServers()
    {
    }

    /// <summary>Starts the servers without a connection string, and adds theirs to the configuration.</summary>
    /// <exception cref="StartupException">One of them cannot start, for a reason that the user can fix.</exception>
    public static async Task<EmbeddedServers> StartAsync(
        IConfigurationManager configuration, IHostEnvironment environment, CancellationToken cancellation = default)
    {
        var servers = new EmbeddedServers();
        if (!environment.IsDevelopment())
            return servers;

        try
        {
            if (string.IsNullOrWhiteSpace(configuration.GetConnectionString("Postgres")))
            {
                servers.postgres = await EmbeddedPostgres.StartAsync(
                    new()
                    {
                        DataPath = DataFolder.PathOf(configuration, environment),
                        Notice = Console.WriteLine,
                    },
                    cancellation);
                Configure(configuration, "Postgres", servers.postgres.ConnectionString);
            }

            if (string.IsNullOrWhiteSpace(configuration.GetConnectionString("Redis")))
            {
                servers.redis = EmbeddedRedis.Start();
                Configure(configuration, "Redis", servers.redis.ConnectionString);
            }

            return servers;
        }
        catch
        {
            await servers.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        redis?.Dispose();
        if (postgres is not null)
            await postgres.DisposeAsync();
    }

    /// <summary>Adds a connection string as the last source, so that reloading a settings file cannot remove it.</summary>
    private static void Configure(IConfigurationManager configuration, string name, string connectionString) =>
        configuration.AddInMemoryCollection([new($"ConnectionStrings:{name}", connectionString)]);
}
