using Chat.Features;
using Chat.RateLimiting;
using Chat.Slices;
using Chat.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Bench.Scenarios;

/// <summary>What seeding needs of Marten and of PostgreSQL.</summary>
internal static class SeedingStore
{
    /// <summary>Returns services with a document store that is configured as in the server.</summary>
    public static ServiceProvider Create(BackingServices backingServices)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
            [new("ConnectionStrings:Postgres", $"{backingServices.Postgres};Command Timeout=600")]).Build();
        var services = new ServiceCollection();
        services.AddLogging().AddSingleton<IConfiguration>(configuration).AddSingleton(TimeProvider.System).AddSingleton(new Limits());
        services.AddStorage(configuration, isDevelopment: false, forCommand: false);
        FeatureSlices.AddAll(new SliceBuilder(services, []));
        return services.BuildServiceProvider();
    }

    /// <summary>Drops the indexes and constraints of a table, and returns the statements that restore them.</summary>
    public static async Task<IReadOnlyList<string>> DropIndexesAsync(NpgsqlDataSource database, string table)
    {
        var rebuild = new List<string>();
        var drop = new List<string>();
        await using (var indexes = database.CreateCommand($"""
            select c.conname, i.indexrelid::regclass::text, pg_get_constraintdef(c.oid), pg_get_indexdef(i.indexrelid)
            from pg_index i left join pg_constraint c on c.conindid = i.indexrelid and c.contype <> 'f'
            where i.indrelid = '{table}'::regclass
            """))
        await using (var reader = await indexes.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                var isConstraint = !await reader.IsDBNullAsync(0);
                drop.Add(isConstraint ? $"alter table {table} drop constraint {reader.GetString(0)}" : $"drop index {reader.GetString(1)}");
                rebuild.Add(
                    isConstraint ? $"alter table {table} add constraint {reader.GetString(0)} {reader.GetString(2)}" : reader.GetString(3));
            }
        }

        foreach (var sql in drop)
            await RunAsync(database, sql);
        return rebuild;
    }

    /// <summary>Runs a statement.</summary>
    public static async Task RunAsync(NpgsqlDataSource database, string sql)
    {
        await using var command = database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
