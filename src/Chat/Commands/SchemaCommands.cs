using Chat.Hosting;
using Chat.Storage;
using JasperFx;
using Marten;
using Weasel.Core;

namespace Chat.Commands;

/// <summary>What a person is told of the schema, in one line; the whole difference is what <c>db-patch</c> writes.</summary>
internal static class SchemaCommands
{
    /// <summary>Creates or updates the schema.</summary>
    public static async Task<int> ApplyAsync(IDocumentStore store)
    {
        SchemaPatchDifference before;
        try
        {
            before = await store.Storage.Database.ApplyAllConfiguredChangesToDatabaseAsync(AutoCreate.CreateOrUpdate);
        }
        catch (Exception failure) when (DatabaseFailure.ReportedBy(failure) is not null)
        {
            throw new StartupException($"PostgreSQL refuses what db-apply must do: {DatabaseFailure.ReasonOf(failure)}. db-apply wants the role that owns the schema and its tables.", failure);
        }

        Console.WriteLine($"The schema {store.Options.DatabaseSchemaName} {(before == SchemaPatchDifference.None ? "was the one of this version already" : "is the one of this version now")}.");
        return 0;
    }

    /// <summary>Whether the schema is the one of this version.</summary>
    public static async Task<int> AssertAsync(IDocumentStore store)
    {
        if (await SchemaState.FindDifferenceAsync(store) is { } fault)
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
            throw new StartupException($"Cannot write {file}: {failure.Message}", failure);
        }

        Console.WriteLine($"{file} has what db-apply would do.");
        return 0;
    }
}
