using System.Diagnostics;
using Chat.Embedded;
using Npgsql;

namespace Chat.Tests.Fixtures;

/// <summary>A real PgBouncer in front of the run's PostgreSQL.</summary>
internal sealed class PgBouncer : IAsyncDisposable
{
    private static readonly string? Binary =
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Append("/usr/sbin")
        .Select(folder => Path.Combine(folder, "pgbouncer"))
        .FirstOrDefault(File.Exists);

    private readonly TempFolder folder = new();
    private readonly Process process;

    private PgBouncer(NpgsqlConnectionStringBuilder postgres, string mode)
    {
        var port = TestPort.Pick();
        File.WriteAllText(folder.Below("pgbouncer.ini"), $"""
            [databases]
            * = host={postgres.Host} port={postgres.Port} dbname={postgres.Database} user={postgres.Username} password={postgres.Password}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = any
            pool_mode = {mode}
            ignore_startup_parameters = options,extra_float_digits
            """);
        process = Process.Start(ServiceAccount.Find().Command(Binary!, folder.Below("pgbouncer.ini")))!;
        ConnectionString =
            new NpgsqlConnectionStringBuilder(postgres.ConnectionString) { Host = "127.0.0.1", Port = port }.ConnectionString;
    }

    /// <summary>Why PgBouncer is not available; null if it is.</summary>
    public static string? Missing { get; } = Binary is null ? "There is no pgbouncer here." : null;

    public string ConnectionString { get; }

    /// <summary>Starts PgBouncer in this pool mode.</summary>
    public static async Task<PgBouncer> Start(string mode)
    {
        var pooler = new PgBouncer(new NpgsqlConnectionStringBuilder((await TestServers.Get()).Postgres), mode);
        await Eventually.UntilNoError(async () =>
        {
            try
            {
                await using var connection = new NpgsqlConnection($"{pooler.ConnectionString};Pooling=false");
                await connection.OpenAsync();
                return null;
            }
            catch (NpgsqlException away)
            {
                return away.Message;
            }
        });
        return pooler;
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        folder.Dispose();
    }
}

/// <summary>A fact that requires PgBouncer.</summary>
public sealed class PgBouncerFactAttribute : FactAttribute
{
    public PgBouncerFactAttribute() => Skip = PgBouncer.Missing;
}

/// <summary>A theory that requires PgBouncer.</summary>
public sealed class PgBouncerTheoryAttribute : TheoryAttribute
{
    public PgBouncerTheoryAttribute() => Skip = PgBouncer.Missing;
}
