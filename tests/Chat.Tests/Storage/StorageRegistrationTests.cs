using Chat.Storage;
using Chat.Tests.Fixtures;
using Npgsql;

namespace Chat.Tests.Storage;

public sealed class StorageRegistrationTests
{
    [Fact]
    public void A_plain_connection_string_gets_short_timeouts_and_prepared_statements()
    {
        var tuned = new NpgsqlConnectionStringBuilder(StorageRegistration.Tune("Host=here;Username=chat"));

        Assert.Equal((2, 2, 500, 100), (tuned.CommandTimeout, tuned.Timeout, tuned.CancellationTimeout, tuned.MaxAutoPrepare));
        Assert.Equal(("here", "chat"), (tuned.Host, tuned.Username));
    }

    [Fact]
    public async Task Postgres_ends_the_transaction_of_a_crashed_node()
    {
        var servers = await TestServers.Get();
        await using var connection = new NpgsqlConnection($"{StorageRegistration.Tune(servers.Postgres)};Pooling=false");
        await connection.OpenAsync();
        await using var command =
            new NpgsqlCommand("select setting::int from pg_settings where name = 'idle_in_transaction_session_timeout'", connection);

        Assert.InRange((int)(await command.ExecuteScalarAsync())!, 1, 10_000);
    }

    [Fact]
    public void A_command_is_not_bound_by_the_request_timeout() =>
        Assert.Equal(
            0, new NpgsqlConnectionStringBuilder(StorageRegistration.Tune("Host=here;Username=chat", forCommand: true)).CommandTimeout);

    [Fact]
    public void Given_values_are_kept()
    {
        var tuned = new NpgsqlConnectionStringBuilder(
            StorageRegistration.Tune(
                "Host=here;Command Timeout=30;Timeout=15;Cancellation Timeout=2000;Max Auto Prepare=0;Options=-c work_mem=8MB"));

        Assert.Equal((30, 15, 2000, 0, "-c work_mem=8MB"),
            (tuned.CommandTimeout, tuned.Timeout, tuned.CancellationTimeout, tuned.MaxAutoPrepare, tuned.Options));
    }
}
