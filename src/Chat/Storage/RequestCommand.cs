using Npgsql;

namespace Chat.Storage;

/// <summary>
/// What a request asks the database. Everything is answered within five seconds, also if the database hangs: at worst a
/// request waits two for a connection, until those before it have given up, and then two for its own statement, which
/// takes half a second more to break off. What nobody waits for, the schema above all, takes as long as it takes.
/// </summary>
internal static class RequestCommand
{
    /// <summary>For one statement, in seconds.</summary>
    public const int Timeout = 2;

    public static NpgsqlCommand CreateRequestCommand(this NpgsqlDataSource database, string statement)
    {
        var command = database.CreateCommand(statement);
        command.CommandTimeout = Timeout;
        return command;
    }
}
