using System.Net.Sockets;
using Chat.Storage;
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
    public void The_database_is_away_or_overloaded(string state)
    {
        Assert.True(DatabaseFailure.IsUnavailable(Reported(state)));
        Assert.True(DatabaseFailure.IsUnavailable(new InvalidOperationException("wrapped", new InvalidOperationException("twice", Reported(state)))));
    }

    [Theory]
    [InlineData(PostgresErrorCodes.UniqueViolation)]
    [InlineData(PostgresErrorCodes.UntranslatableCharacter)]
    [InlineData(PostgresErrorCodes.UndefinedTable)]
    [InlineData(PostgresErrorCodes.DeadlockDetected)]
    [InlineData(PostgresErrorCodes.SerializationFailure)]
    [InlineData(PostgresErrorCodes.InsufficientPrivilege)]
    public void The_statement_is_at_fault(string state)
    {
        Assert.False(DatabaseFailure.IsUnavailable(Reported(state)));
        Assert.False(DatabaseFailure.IsUnavailable(new InvalidOperationException("wrapped", Reported(state))));
    }

    [Fact]
    public void A_connection_that_cannot_be_had_or_breaks_is_the_database_being_away()
    {
        Assert.True(DatabaseFailure.IsUnavailable(new NpgsqlException("Exception while reading from stream", new EndOfStreamException())));
        Assert.True(DatabaseFailure.IsUnavailable(new SocketException((int)SocketError.ConnectionRefused)));
        Assert.True(DatabaseFailure.IsUnavailable(new TimeoutException()));
    }

    [Fact]
    public void Anything_else_is_a_fault()
    {
        Assert.False(DatabaseFailure.IsUnavailable(null));
        Assert.False(DatabaseFailure.IsUnavailable(new KeyNotFoundException()));
        Assert.False(DatabaseFailure.IsUnavailable(new IOException()));
    }

    private static PostgresException Reported(string state) => new("reported", "ERROR", "ERROR", state);
}
