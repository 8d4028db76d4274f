using Chat.Hosting;
using Chat.Storage;
using JasperFx;
using Marten;
using Weasel.Core;

namespace Chat.Commands;

/// <summary>Commands about the schema. They print one line; <c>db-patch</c> writes the whole difference.</summary>
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
            throw new StartupException(
                $"PostgreSQL rejects a statement of db-apply: {DatabaseFailure.ReasonOf(failure)}. " +
                "db-apply requires the role that owns the schema and its tables.",
                failure);
        }

        var result = before == SchemaPatchDifference.None ? "is up to date" : "has been updated to this version";
        Console.WriteLine($"The schema {store.Options.DatabaseSchemaName} {result}.");
        return 0;
    }

    /// <summary>Checks whether the schema is the one of this version.</summary>
    public static async Task<int> AssertAsync(IDocumentStore store)
    {
        if (await SchemaState.FindDifferenceAsync(store) is { } difference)
        {
            await Console.Error.WriteLineAsync($"{difference} Run db-apply; db-patch FILE shows what it would do.");
            return 1;
        }

        Console.WriteLine($"The schema {store.Options.DatabaseSchemaName} is the one of this version.");
        return 0;
    }

    /// <summary>Writes the SQL of the update to a single file.</summary>
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

        Console.WriteLine($"Wrote the SQL that db-apply would execute to {file}.");
        return 0;
    }
}
