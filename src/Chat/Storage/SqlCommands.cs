using Npgsql;
using NpgsqlTypes;

namespace Chat.Storage;

/// <summary>Positional parameters and result rows of SQL commands.</summary>
internal static class SqlCommands
{
    /// <summary>Adds the value of the next parameter: the first call sets <c>$1</c>.</summary>
    public static NpgsqlCommand With<T>(this NpgsqlCommand command, T value)
    {
        command.Parameters.Add(new NpgsqlParameter<T> { TypedValue = value });
        return command;
    }

    /// <summary>Adds a JSON document as the value of the next parameter.</summary>
    public static NpgsqlCommand WithJson(this NpgsqlCommand command, string document)
    {
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = document, NpgsqlDbType = NpgsqlDbType.Jsonb });
        return command;
    }

    /// <summary>Adds one field of each row as the value of the next parameter, an array to <c>unnest</c>.</summary>
    public static NpgsqlCommand WithColumn<TRow, T>(this NpgsqlCommand command, IEnumerable<TRow> rows, Func<TRow, T> field) =>
        command.With(rows.Select(field).ToArray());

    /// <summary>Runs the command and returns all rows of its result.</summary>
    public static async Task<List<T>> ReadAllAsync<T>(this NpgsqlCommand command, Func<NpgsqlDataReader, T> read)
    {
        var rows = new List<T>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            rows.Add(read(reader));
        return rows;
    }
}
