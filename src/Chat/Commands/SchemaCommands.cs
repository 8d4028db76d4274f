using Chat.Storage;
using JasperFx;
using Marten;

namespace Chat.Commands;

/// <summary>What a person is told of the schema, in one line; the whole difference is what <c>db-patch</c> writes.</summary>
internal static class SchemaCommands
{
    /// <summary>Whether the schema is the one of this version.</summary>
    public static async Task<int> AssertAsync(IDocumentStore store)
    {
        if (await SchemaState.FaultAsync(store) is { } fault)
        {
            await Console.Error.WriteLineAsync($"{fault} Run db-apply; db-patch FILE shows what it would do.");
            return 1;
        }

        Console.WriteLine($"The schema {store.Options.DatabaseSchemaName} is the one of this version.");
        return 0;
    }

    /// <summary>Writes what would be done into one file, and into no other.</summary>
    public static async Task<int> PatchAsync(IDocumentStore store, string file)
    {
        var database = store.Storage.Database;
        var migration = await database.CreateMigrationAsync();
        try
        {
            await database.Migrator.WriteTemplatedFile(Path.GetFullPath(file), (migrator, writer) =>
            {
                if (migration.Schemas.Length > 0)
                    migrator.WriteSchemaCreationSql(migration.Schemas, writer);
                migration.WriteAllUpdates(writer, migrator, AutoCreate.CreateOrUpdate);
            });
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new StartException($"Cannot write {file}: {failure.Message}", failure);
        }

        Console.WriteLine($"{file} has what db-apply would do.");
        return 0;
    }
}
