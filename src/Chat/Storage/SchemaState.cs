using Marten;
using Weasel.Core;

namespace Chat.Storage;

/// <summary>How the schema in the database compares with the one of this version.</summary>
internal static class SchemaState
{
    private const int MostNamed = 5;

    /// <summary>What is different, in a sentence; null if nothing is.</summary>
    public static async Task<string?> FindDifferenceAsync(IDocumentStore store, CancellationToken cancellationToken = default)
    {
        var migration = await store.Storage.Database.CreateMigrationAsync(cancellationToken);
        var missing = NamesOf(migration, SchemaPatchDifference.Create);
        var different = NamesOf(migration, SchemaPatchDifference.Update).Concat(NamesOf(migration, SchemaPatchDifference.Invalid)).ToArray();
        string?[] parts = [Part(missing, "missing"), Part(different, "of another version")];
        return missing.Length + different.Length == 0
            ? null
            : $"The schema {store.Options.DatabaseSchemaName} is not the one of this version: {string.Join("; ", parts.OfType<string>())}.";
    }

    private static string[] NamesOf(SchemaMigration migration, SchemaPatchDifference difference) =>
        [.. migration.Deltas.Where(delta => delta.Difference == difference).Select(delta => delta.SchemaObject.Identifier.Name)];

    private static string? Part(string[] names, string state) => names.Length == 0
        ? null
        : $"{names.Length} {state} ({string.Join(", ", names.Take(MostNamed))}{(names.Length > MostNamed ? ", …" : "")})";
}
