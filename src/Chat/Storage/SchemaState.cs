using Marten;
using Weasel.Core;

namespace Chat.Storage;

/// <summary>Compares the database's schema with this version's.</summary>
internal static class SchemaState
{
    private const int MaxNamed = 5;

    /// <summary>Describes the differences in a sentence; null if there are none.</summary>
    public static async Task<string?> FindDifferenceAsync(IDocumentStore store, CancellationToken cancellationToken = default)
    {
        var migration = await store.Storage.Database.CreateMigrationAsync(cancellationToken);
        var missing = NamesOf(migration, SchemaPatchDifference.Create);
        var different =
            NamesOf(migration, SchemaPatchDifference.Update).Concat(NamesOf(migration, SchemaPatchDifference.Invalid)).ToArray();
        string?[] parts = [Part(missing, "missing"), Part(different, "of another version")];
        return missing.Length + different.Length == 0
            ? null
            : $"The schema {store.Options.DatabaseSchemaName} is not the one of this version: {string.Join("; ", parts.OfType<string>())}.";
    }

    private static string[] NamesOf(SchemaMigration migration, SchemaPatchDifference difference) =>
        [.. migration.Deltas.Where(delta => delta.Difference == difference).Select(delta => delta.SchemaObject.Identifier.Name)];

    private static string? Part(string[] names, string state) => names.Length == 0
        ? null
        : $"{names.Length} {state} ({string.Join(", ", names.Take(MaxNamed))}{(names.Length > MaxNamed ? ", …" : "")})";
}
