using Chat.Hosting;

namespace Chat.Embedded;

/// <summary>
/// PostgreSQL and Redis for a developer who has configured neither: the server brings its own, in Development alone.
/// The data stay in <c>.data</c> under the content root, or where <c>Embedded:DataPath</c> says.
/// </summary>
internal sealed class EmbeddedServers : IAsyncDisposable
{
    private EmbeddedPostgres? postgres;
    private EmbeddedRedis? redis;

    private EmbeddedServers()
    {
    }

    /// <summary>Starts what has no connection string and writes the missing ones into the configuration.</summary>
    /// <exception cref="StartupException">One of them cannot start, for a reason that its user can do something about.</exception>
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

    /// <summary>As the last source, so that no reload of a settings file can take it away again.</summary>
    private static void Configure(IConfigurationManager configuration, string name, string connectionString) =>
        configuration.AddInMemoryCollection([new($"ConnectionStrings:{name}", connectionString)]);
}
