using System.ComponentModel;
using System.Globalization;
using Chat.Hosting;
using Npgsql;

namespace Chat.Embedded;

/// <summary>
/// A PostgreSQL started and stopped by this process, on a new port of 127.0.0.1 at each start. Other accounts of the machine can
/// reach that port, too: a password generated at the first start keeps them out. It never outlives the process (see
/// <see cref="PostgresWatchdog"/>); on Windows it may, after a kill, until the next start.
/// </summary>
internal sealed class EmbeddedPostgres : IAsyncDisposable
{
    /// <summary>The name of the role and of the database.</summary>
    public const string Name = "chat";

    /// <summary>
    /// Transient startup errors in PostgreSQL's log: the port was taken meanwhile, or the PostgreSQL of a killed server is still
    /// starting or its backends are still stopping. Worth another attempt.
    /// </summary>
    private static readonly string[] TransientErrors = ["could not bind", "lock file \"postmaster.pid\"", "is still in use"];

    private readonly EmbeddedPostgresOptions options;
    private readonly DataFolder folder;
    private readonly Func<Task> stop;

    private EmbeddedPostgres(EmbeddedPostgresOptions options, DataFolder folder, int port, string password, Func<Task> stop)
    {
        (this.options, this.folder, this.stop) = (options, folder, stop);
        ConnectionString = new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = port,
            Username = Name,
            Password = password,
            Database = Name,
            // Neither is available here, and negotiating costs a round trip per connection.
            GssEncryptionMode = GssEncryptionMode.Disable,
            SslMode = SslMode.Disable,
        }.ConnectionString;
    }

    public string ConnectionString { get; }

    /// <summary>The folder in use: the configured one, or the fallback reported by a notice.</summary>
    public string DataPath => folder.Path;

    /// <summary>Starts PostgreSQL, and creates its data folder if needed.</summary>
    /// <exception cref="StartupException">It cannot start, for a reason that the user can fix.</exception>
    public static async Task<EmbeddedPostgres> StartAsync(EmbeddedPostgresOptions options, CancellationToken cancellation = default)
    {
        try
        {
            var account = ServiceAccount.Find();
            var folder = await DataFolder.Open(options, account, cancellation);
            try
            {
                return await Start(options, account, folder, cancellation);
            }
            catch
            {
                Release(options, folder);
                throw;
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or Win32Exception)
        {
            throw new StartupException(
                $"The embedded PostgreSQL cannot use its data folder {options.DataPath}: {failure.Message}", failure);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop();
        Release(options, folder);
    }

    private static void Release(EmbeddedPostgresOptions options, DataFolder folder)
    {
        folder.Dispose();
        if (options.ThrowAway && Directory.Exists(folder.Path))
            Directory.Delete(folder.Path, recursive: true);
    }

    private static async Task<EmbeddedPostgres> Start(
        EmbeddedPostgresOptions options, ServiceAccount account, DataFolder folder, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder.Postgres);
        var cluster = new PostgresCluster(folder.Postgres, account);
        var binaries = await PostgresBinaries.Find(account, cluster.Major, folder.Path, options.Notice, cancellation);
        var saved = options.ThrowAway ? null : Secrets.Load(folder.Password);
        var password = saved ?? Secrets.New();
        var isProtected = cluster.Major is null || (saved is not null && cluster.RequiresPassword);
        if (cluster.Major is null)
            await cluster.Create(binaries, password, durable: !options.ThrowAway, cancellation);

        for (var attempt = 1; ; attempt++)
        {
            await cluster.FinishPrevious(binaries, cancellation);
            if (!isProtected)
                await cluster.Protect(binaries, password, cancellation);
            isProtected = true;
            // Only once it is in effect: a failed first attempt must not leave a password behind.
            if (saved is null && !options.ThrowAway)
                Secrets.Save(folder.Password, password);
            cluster.RotateLog();
            var port = LoopbackPort.Pick();
            if (await Launch(options, account, folder, binaries, cluster, port, cancellation) is { } stop)
                return new EmbeddedPostgres(options, folder, port, password, stop);

            var log = cluster.ReadLog();
            if (attempt == LoopbackPort.Attempts || !TransientErrors.Any(reason => log.Contains(reason, StringComparison.Ordinal)))
                throw new StartupException(
                    $"PostgreSQL did not start. Last lines of its log {cluster.Log}: {PostgresCluster.LastLines(log)}");
        }
    }

    /// <summary>Starts PostgreSQL and returns how to stop it; null if it did not start.</summary>
    private static async Task<Func<Task>?> Launch(
        EmbeddedPostgresOptions options,
        ServiceAccount account,
        DataFolder folder,
        PostgresBinaries binaries,
        PostgresCluster cluster,
        int port,
        CancellationToken cancellation)
    {
        var settings = string.Create(CultureInfo.InvariantCulture, $"""
            -p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections={options.MaxConnections}
            """) + " -c shared_buffers=128MB -c timezone=UTC -c log_timezone=UTC";
        if (options.ThrowAway)
            settings += " -c fsync=off -c full_page_writes=off -c synchronous_commit=off";

        if (OperatingSystem.IsWindows())
        {
            // No watchdog there: the PostgreSQL of a killed server is stopped by the next start.
            return await account.RunDetached(
                binaries.PgCtl, ["start", "-D", cluster.Data, "-l", cluster.Log, "-o", settings, "-s"], cancellation)
                ? () => cluster.FinishPrevious(binaries, CancellationToken.None)
                : null;
        }

        var watchdog = await PostgresWatchdog.Start(
            account, binaries.PgCtl, cluster, settings, options.ThrowAway ? folder.Path : "", cancellation);
        return watchdog is null ? null : async () =>
        {
            await watchdog.Stop();
            // Nothing is left to do, unless the watchdog was killed.
            await cluster.FinishPrevious(binaries, CancellationToken.None);
        };
    }
}
