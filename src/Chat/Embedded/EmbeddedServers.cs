namespace Chat.Embedded;

/// <summary>
/// PostgreSQL and Redis for a developer who has configured neither: the server brings its own, in Development alone.
/// The data stay in <c>.data</c> under the content root, or where <c>Embedded:DataPath</c> says.
/// </summary>
internal sealed class EmbeddedServers : IAsyncDisposable
{
    private EmbeddedPostgres? _postgres;
    private EmbeddedRedis? _redis;

    private EmbeddedServers()
    {
    }

    /// <summary>Starts what has no connection string and writes the missing ones into the configuration.</summary>
    /// <exception cref="EmbeddedStartException">One of them cannot start, for a reason that its user can do something about.</exception>
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
                servers._postgres = await EmbeddedPostgres.StartAsync(
                    new()
                    {
                        DataPath = Path.Combine(environment.ContentRootPath, configuration["Embedded:DataPath"] ?? ".data"),
                        Notice = Console.WriteLine,
                    },
                    cancellation);
                Configure(configuration, "Postgres", servers._postgres.ConnectionString);
            }

            if (string.IsNullOrWhiteSpace(configuration.GetConnectionString("Redis")))
            {
                servers._redis = EmbeddedRedis.Start();
                Configure(configuration, "Redis", servers._redis.ConnectionString);
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
        _redis?.Dispose();
        if (_postgres is not null)
            await _postgres.DisposeAsync();
    }

    /// <summary>As the last source, so that no reload of a settings file can take it away again.</summary>
    private static void Configure(IConfigurationManager configuration, string name, string connectionString) =>
        configuration.AddInMemoryCollection([new($"ConnectionStrings:{name}", connectionString)]);
}
