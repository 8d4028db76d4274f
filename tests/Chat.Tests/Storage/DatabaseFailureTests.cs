using System.Net.Sockets;
using Chat.Hosting;
using Npgsql;

namespace Chat.Tests.Storage;

public sealed class DatabaseFailureTests
{
    [Theory]
    [InlineData(PostgresErrorCodes.AdminShutdown)]
    [InlineData(PostgresErrorCodes.CrashShutdown)]
    [InlineData(PostgresErrorCodes.CannotConnectNow)]
    [InlineData(PostgresErrorCodes.QueryCanceled)]
    [InlineData(PostgresErrorCodes.TooManyConnections)]
    [InlineData(PostgresErrorCodes.DiskFull)]
    [InlineData(PostgresErrorCodes.OutOfMemory)]
    [InlineData(PostgresErrorCodes.IoError)]
    [InlineData(PostgresErrorCodes.ConnectionFailure)]
    [InlineData(PostgresErrorCodes.ReadOnlySqlTransaction)]
    [InlineData(PostgresErrorCodes.InvalidPassword)]
    [InlineData(PostgresErrorCodes.InvalidAuthorizationSpecification)]
    [InlineData(PostgresErrorCodes.InvalidCatalogName)]
    [InlineData(PostgresErrorCodes.InsufficientPrivilege)]
    [InlineData(PostgresErrorCodes.LockNotAvailable)]
    [InlineData(PostgresErrorCodes.ObjectInUse)]
    [InlineData(PostgresErrorCodes.DatabaseDropped)]
    [InlineData(PostgresErrorCodes.ConfigFileError)]
    public void The_database_is_unavailable_or_overloaded(string state)
    {
        Assert.True(DatabaseFailure.IsUnavailable(Reported(state)));
        Assert.True(DatabaseFailure.IsUnavailable(
            new InvalidOperationException("wrapped", new InvalidOperationException("twice", Reported(state)))));
    }

    [Theory]
    [InlineData(PostgresErrorCodes.UniqueViolation)]
    [InlineData(PostgresErrorCodes.UntranslatableCharacter)]
    [InlineData(PostgresErrorCodes.UndefinedTable)]
    [InlineData(PostgresErrorCodes.DeadlockDetected)]
    [InlineData(PostgresErrorCodes.SerializationFailure)]
    public void The_statement_is_at_fault(string state)
    {
        Assert.False(DatabaseFailure.IsUnavailable(Reported(state)));
        Assert.False(DatabaseFailure.IsUnavailable(new InvalidOperationException("wrapped", Reported(state))));
    }

    [Fact]
    public void Connection_failures_count_as_database_outages()
    {
        Assert.True(DatabaseFailure.IsUnavailable(new NpgsqlException("Exception while reading from stream", new EndOfStreamException())));
        Assert.True(DatabaseFailure.IsUnavailable(
            new NpgsqlException("Failed to connect", new SocketException((int)SocketError.ConnectionRefused))));
        Assert.True(DatabaseFailure.IsUnavailable(new TimeoutException()));
    }

    [Fact]
    public void Anything_else_is_a_server_error()
    {
        Assert.False(DatabaseFailure.IsUnavailable(null));
        Assert.False(DatabaseFailure.IsUnavailable(new KeyNotFoundException()));
        Assert.False(DatabaseFailure.IsUnavailable(
            new IOException("A client's connection was reset.", new SocketException((int)SocketError.ConnectionReset))));
        Assert.False(DatabaseFailure.IsUnavailable(new SocketException((int)SocketError.ConnectionReset)));
    }

    [Theory]
    [InlineData("Host=no-such-host.invalid")]
    [InlineData("Host=127.0.0.1;Port=1")]
    [InlineData("Host=/no/such/folder")]
    public async Task An_invalid_connection_string_is_reported_in_the_drivers_words(string connectionString)
    {
        await using var connection = new NpgsqlConnection(connectionString);

        Assert.True(DatabaseFailure.IsUnavailable(await Record.ExceptionAsync(() => connection.OpenAsync())));
    }

    [Fact]
    public void PostgreSQLs_message_is_logged_with_its_code_in_one_line()
    {
        var refused = new InvalidOperationException(
            "wrapped", new PostgresException("password authentication\nfailed", "FATAL", "FATAL", PostgresErrorCodes.InvalidPassword));

        Assert.Equal("password authentication failed (28P01)", DatabaseFailure.ReasonOf(refused));
        Assert.True(DatabaseFailure.IsRefusal(refused));
        Assert.False(DatabaseFailure.IsRefusal(Reported(PostgresErrorCodes.QueryCanceled)));
        Assert.Equal(
            "Failed to connect: refused", DatabaseFailure.ReasonOf(new NpgsqlException("Failed to connect", new IOException("refused"))));
    }

    private static PostgresException Reported(string state) => new("reported", "ERROR", "ERROR", state);
}
