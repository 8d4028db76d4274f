using Chat.Features;
using Chat.Storage;
using Chat.Tests.Embedded;
using Chat.Tests.Fixtures;
using Npgsql;

namespace Chat.Tests.Start;

/// <summary>PgBouncer in front of PostgreSQL: in transaction mode the server does not start.</summary>
public sealed class PoolerTests
{
    [PgBouncerTheory]
    [InlineData("transaction")]
    [InlineData("statement")]
    public async Task A_transaction_pooler_fails_the_startup_in_one_line(string mode)
    {
        await using var pooler = await PgBouncer.Start(mode);
        var settings = await Production.Settings();
        settings["ConnectionStrings__Postgres"] = pooler.ConnectionString;

        foreach (var command in (string[][])[["db-apply"], []])
        {
            using var server = ServerProcess.Launch(settings, command);
            Assert.Equal(1, await server.Exit());
            Assert.Matches("^The pooler at 127.0.0.1:[0-9]+ uses transaction pooling, .* pool_mode = session.*$", server.Errors);
        }
    }

    [PgBouncerFact]
    public async Task A_session_pooler_is_supported()
    {
        await using var pooler = await PgBouncer.Start("session");

        Assert.False(await IsShared($"{pooler.ConnectionString};Maximum Pool Size=5"));
        await using var app = await ChatApp.Start(
            new() { ["ConnectionStrings:Postgres"] = $"{pooler.ConnectionString};Maximum Pool Size=5;Application Name=pooled" });
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        Assert.NotEqual(Guid.Empty, await app.OpenDirect(alice, bob));
    }

    [Fact]
    public async Task Without_a_pooler_each_connection_has_its_session() =>
        Assert.False(await IsShared((await TestServers.Get()).Postgres));

    private static async Task<bool> IsShared(string connectionString)
    {
        await using var database = NpgsqlDataSource.Create(connectionString);
        await using var connection = await database.OpenConnectionAsync();
        return await SessionPooling.IsByTransactionAsync(connection, database);
    }
}
