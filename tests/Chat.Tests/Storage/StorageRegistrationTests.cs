using Chat.Storage;
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
    public void A_command_takes_the_time_that_it_takes() =>
        Assert.Equal(0, new NpgsqlConnectionStringBuilder(StorageRegistration.Tune("Host=here;Username=chat", isCommand: true)).CommandTimeout);

    [Fact]
    public void What_is_given_stays()
    {
        var tuned = new NpgsqlConnectionStringBuilder(
            StorageRegistration.Tune("Host=here;Command Timeout=30;Timeout=15;Cancellation Timeout=2000;Max Auto Prepare=0"));

        Assert.Equal((30, 15, 2000, 0), (tuned.CommandTimeout, tuned.Timeout, tuned.CancellationTimeout, tuned.MaxAutoPrepare));
    }
}
