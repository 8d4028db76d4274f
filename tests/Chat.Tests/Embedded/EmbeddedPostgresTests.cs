using System.Diagnostics;
using Chat.Embedded;
using Chat.Hosting;
using Chat.Tests.Fixtures;
using Npgsql;

namespace Chat.Tests.Embedded;

public sealed class EmbeddedPostgresTests : IDisposable
{
    private const UnixFileMode OwnersFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnersFolder = OwnersFile | UnixFileMode.UserExecute;

    private readonly TempFolder temp = new();

    private EmbeddedPostgresOptions Options => new() { DataPath = temp.Below("data") };

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task The_first_start_creates_a_UTF8_database()
    {
        await using var postgres = await EmbeddedPostgres.StartAsync(Options);

        Assert.Equal("UTF8", await Query(postgres, "show server_encoding"));
        Assert.Equal("chat chat", await Query(postgres, "select current_user || ' ' || current_database()"));
        Assert.Equal("ä", await Query(postgres, "select lower('Ä')"));
        Assert.Equal("on", await Query(postgres, "show fsync"));
        Assert.Equal("127.0.0.1", await Query(postgres, "show listen_addresses"));
    }

    [Fact]
    public async Task Data_survives_a_restart()
    {
        await using (var postgres = await EmbeddedPostgres.StartAsync(Options))
            await Query(postgres, "create table kept as select 'still here' as word");

        await using var again = await EmbeddedPostgres.StartAsync(Options);
        Assert.Equal("still here", await Query(again, "select word from kept"));
    }

    [Fact]
    public async Task The_password_is_required()
    {
        await using var postgres = await EmbeddedPostgres.StartAsync(Options);

        await IsClosed(postgres);
        Assert.Equal("True", await Query(postgres, "select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'chat'"));
    }

    [UnixFact]
    public async Task Its_files_are_private()
    {
        await using var postgres = await EmbeddedPostgres.StartAsync(Options);

        Assert.Equal(OwnersFolder, Mode(Options.DataPath));
        Assert.Equal(OwnersFolder, Mode(temp.Below("data", "postgres")));
        foreach (var file in (string[])["chat.lock", "postgres-password"])
            Assert.Equal(OwnersFile, Mode(temp.Below("data", file)));
    }

    [UnixFact]
    public async Task Data_of_an_earlier_version_is_kept_and_made_private()
    {
        await using (var postgres = await EmbeddedPostgres.StartAsync(Options))
            await Query(postgres, "create table kept as select 'still here' as word; alter role chat password null");
        // As in an earlier version: trust authentication and readable files.
        var rules = temp.Below("data", "postgres", "data", "pg_hba.conf");
        await File.WriteAllTextAsync(
            rules, (await File.ReadAllTextAsync(rules)).Replace("scram-sha-256", "trust", StringComparison.Ordinal));
        File.Delete(temp.Below("data", "postgres-password"));
        Open(Options.DataPath, UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        Open(temp.Below("data", "chat.lock"), UnixFileMode.OtherRead);

        for (var start = 0; start < 2; start++)
        {
            await using var again = await EmbeddedPostgres.StartAsync(Options);
            Assert.Equal("still here", await Query(again, "select word from kept"));
            await IsClosed(again);
            Assert.Equal((OwnersFolder, OwnersFile), (Mode(Options.DataPath), Mode(temp.Below("data", "chat.lock"))));
        }
    }

    [Fact]
    public async Task A_lost_password_is_replaced()
    {
        await using (var postgres = await EmbeddedPostgres.StartAsync(Options))
            await Query(postgres, "create table kept as select 'still here' as word");
        File.Delete(temp.Below("data", "postgres-password"));

        await using var again = await EmbeddedPostgres.StartAsync(Options);
        Assert.Equal("still here", await Query(again, "select word from kept"));
    }

    [UnixFact]
    public async Task A_folder_with_foreign_files_keeps_its_permissions()
    {
        Directory.CreateDirectory(Options.DataPath);
        await File.WriteAllTextAsync(temp.Below("data", "notes"), "mine");
        Open(Options.DataPath, UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        var before = Mode(Options.DataPath);

        await using var postgres = await EmbeddedPostgres.StartAsync(Options);

        Assert.Equal(before, Mode(Options.DataPath));
        Assert.Equal((OwnersFolder, OwnersFile), (Mode(temp.Below("data", "postgres")), Mode(temp.Below("data", "postgres-password"))));
    }

    [Fact]
    public async Task A_second_server_on_the_same_folder_fails_in_one_line()
    {
        await using var first = await EmbeddedPostgres.StartAsync(Options);

        var refused = await Assert.ThrowsAsync<StartupException>(() => EmbeddedPostgres.StartAsync(Options));

        Assert.Contains($"Another server process is using the data folder {Options.DataPath}.", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', refused.Message);
        Assert.Equal("1", await Query(first, "select '1'"));
    }

    [UnixFact]
    public async Task A_stale_postmaster_pid_file_with_a_reused_pid_is_ignored()
    {
        string[] trace;
        await using (await EmbeddedPostgres.StartAsync(Options))
            trace = await File.ReadAllLinesAsync(Postmaster.PidFile(Options.DataPath));

        // A process of PostgreSQL's account: a process of another account is not mistaken for a postmaster.
        using var bystander = Process.Start(ServiceAccount.Find().Command("/bin/sleep", "600"))!;
        try
        {
            await File.WriteAllLinesAsync(Postmaster.PidFile(Options.DataPath), [$"{bystander.Id}", .. trace.Skip(1)]);

            await using var postgres = await EmbeddedPostgres.StartAsync(Options);

            Assert.Equal("1", await Query(postgres, "select '1'"));
            Assert.False(bystander.HasExited);
        }
        finally
        {
            bystander.Kill();
        }
    }

    [Fact]
    public async Task Data_of_another_PostgreSQL_version_is_left_untouched()
    {
        await using (await EmbeddedPostgres.StartAsync(Options))
        {
        }

        await File.WriteAllTextAsync(temp.Below("data", "postgres", "data", "PG_VERSION"), "9\n");

        var refused = await Assert.ThrowsAsync<StartupException>(() => EmbeddedPostgres.StartAsync(Options));
        Assert.Contains("were written by PostgreSQL 9", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failed_startup_includes_the_postgres_log()
    {
        await using (await EmbeddedPostgres.StartAsync(Options))
        {
        }

        await File.AppendAllTextAsync(temp.Below("data", "postgres", "data", "postgresql.conf"), "wal_level = nonsense\n");

        var failed = await Assert.ThrowsAsync<StartupException>(() => EmbeddedPostgres.StartAsync(Options));
        Assert.Contains("invalid value for parameter \"wal_level\"", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_cannot_be_created_is_named_in_the_error()
    {
        await File.WriteAllTextAsync(temp.Below("file"), "");

        var failed = await Assert.ThrowsAsync<StartupException>(
            () => EmbeddedPostgres.StartAsync(Options with { DataPath = temp.Below("file", "data") }));
        Assert.Contains(temp.Below("file", "data"), failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_temporary_server_leaves_nothing_behind()
    {
        await using (var postgres = await EmbeddedPostgres.StartAsync(Options with { ThrowAway = true, MaxConnections = 17 }))
            Assert.Equal("17 off", await Query(postgres, "select current_setting('max_connections') || ' ' || current_setting('fsync')"));

        Assert.False(Directory.Exists(Options.DataPath));
    }

    [RootFact]
    public async Task As_root_a_private_folder_is_replaced_by_a_stable_substitute()
    {
        using var stays = Closed(out var closed);
        List<string> notices = [];
        string standIn;
        await using (var postgres = await EmbeddedPostgres.StartAsync(Options with { DataPath = closed, Notice = notices.Add }))
        {
            standIn = postgres.DataPath;
            await Query(postgres, "create table kept as select 'still here' as word");
        }

        try
        {
            Assert.StartsWith("/var/tmp/chat-", standIn, StringComparison.Ordinal);
            Assert.Contains(standIn, Assert.Single(notices), StringComparison.Ordinal);

            await using var again = await EmbeddedPostgres.StartAsync(Options with { DataPath = closed });
            Assert.Equal("still here", await Query(again, "select word from kept"));
        }
        finally
        {
            Directory.Delete(standIn, recursive: true);
        }
    }

    [RootFact]
    public async Task Root_privileges_and_groups_are_dropped()
    {
        var (_, output) = await ServiceAccount.Find().Run("/bin/sh", ["-c", "id -u; id -g; id -G"]);

        Assert.DoesNotContain("0", output.Split((char[])['\n', ' ']));
    }

    /// <summary>A folder below one that only root may enter, such as root's home.</summary>
    private TempFolder Closed(out string path)
    {
        var parent = new TempFolder();
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(parent.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        path = parent.Below("checkout", ".data");
        return parent;
    }

    private static async Task IsClosed(EmbeddedPostgres postgres)
    {
        foreach (var password in (string?[])[null, "", "chat", "postgres"])
        {
            var guess = new NpgsqlConnectionStringBuilder(postgres.ConnectionString) { Password = password, Pooling = false };
            await using var connection = new NpgsqlConnection(guess.ConnectionString);
            await Assert.ThrowsAnyAsync<NpgsqlException>(() => connection.OpenAsync());
        }
    }

    private static UnixFileMode Mode(string path) => OperatingSystem.IsWindows() ? default : File.GetUnixFileMode(path);

    private static void Open(string path, UnixFileMode more)
    {
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, File.GetUnixFileMode(path) | more);
    }

    private static async Task<string?> Query(EmbeddedPostgres postgres, string sql)
    {
        // Without a pool: the stop would break a pooled connection and fail the next test that gets it.
        await using var connection = new NpgsqlConnection(postgres.ConnectionString + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (await command.ExecuteScalarAsync())?.ToString();
    }
}
