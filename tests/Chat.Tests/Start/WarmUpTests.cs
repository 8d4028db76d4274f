using Chat.Features;
using Chat.Socket;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Start;

public sealed class WarmUpTests
{
    [Fact]
    public async Task The_warm_up_runs_before_the_server_listens_and_leaves_nothing_behind()
    {
        await using var app = await ChatApp.Start();

        Assert.Equal(WarmUp.Iterations, app.Services.GetRequiredService<WarmUp>().Runs);
        Assert.Equal(["mt_doc_lineagedocument"], await TablesWithRows(app));
        Assert.Empty(app.Services.GetRequiredService<Hub>().Connections);
        Assert.Empty(app.Services.GetRequiredService<Hub>().Users);
        Assert.Empty(app.Services.GetRequiredService<Delivery>().Feeds);
    }

    [Fact]
    public async Task The_server_starts_while_the_issuer_is_unavailable()
    {
        await using var app = await ChatApp.Start(new() { ["Jwt:Key"] = "", ["Jwt:Authority"] = "http://127.0.0.1:1" });

        Assert.Equal(WarmUp.Iterations, app.Services.GetRequiredService<WarmUp>().Runs);
    }

    [Fact]
    public async Task A_draft_for_a_missing_conversation_is_rejected_alone()
    {
        await using var app = await ChatApp.Start();
        var draft = new MessageDraft(Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid(), SendMessage.Text, "hello", null, []);

        var appended =
            await app.Services.GetRequiredService<ConversationLog>().AppendAsync(draft, _ => Assert.Fail("Nothing was committed."));

        Assert.Equal(AppendOutcome.NoConversation, appended.Outcome);
    }

    private static async Task<List<string>> TablesWithRows(ChatApp app)
    {
        var database = app.Services.GetRequiredService<NpgsqlDataSource>();
        var schema = app.Services.GetRequiredService<TableNames>().Message.Split('.')[0];
        var tables = await Query(database, $"select tablename from pg_tables where schemaname = '{schema}' order by tablename");
        var withRows = new List<string>();
        foreach (var table in tables)
        {
            if ((await Query(database, $"select 'row' from {schema}.{table} limit 1")).Count > 0)
                withRows.Add(table);
        }

        return withRows;
    }

    private static async Task<List<string>> Query(NpgsqlDataSource database, string sql)
    {
        await using var command = database.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<string>();
        while (await reader.ReadAsync())
            rows.Add(reader.GetString(0));
        return rows;
    }
}
