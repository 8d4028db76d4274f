using Chat.Backplane;
using Chat.Settings;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Chat.Tests.Observing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Conformance;

/// <summary>
/// Names that outlive a version: databases contain them, nodes of two versions exchange them during a rolling upgrade, and
/// operators' configuration and dashboards use them. Types may be renamed at any time without changing these. New names are added
/// to <c>PinnedNames.txt</c>; a line is never changed or removed. Wire names are pinned by <c>docs/openapi.json</c> and
/// <c>docs/asyncapi.yaml</c>.
/// </summary>
public sealed class PinnedNamesTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private static readonly Guid One = new("11111111-1111-4111-8111-111111111111");
    private static readonly Guid Other = new("22222222-2222-4222-8222-222222222222");

    [Fact]
    public async Task Pinned_names_do_not_change()
    {
        string[] actual =
        [
            .. await Database(), .. NodeEvents(), .. RedisNames(), .. Ids(),
            .. SettingsCatalog.All.Select(setting => $"setting {setting.Name}"),
            .. shared.App.Instruments().Select(instrument => $"metric {instrument.Name} {instrument.Unit}"),
            $"log category {AuditLog.Category}", $"meter {ServerMetrics.MeterName}", $"trace source {Tracing.Name}",
        ];
        var pinned = await File.ReadAllLinesAsync(Checkout.PathOf("tests", "Chat.Tests", "Conformance", "PinnedNames.txt"));

        var gone = pinned.Except(actual).ToArray();
        var added = actual.Except(pinned).ToArray();
        Assert.True(gone.Length == 0, $"Gone: {string.Join("; ", gone)}");
        Assert.True(added.Length == 0, $"To be added to PinnedNames.txt: {string.Join(Environment.NewLine, added)}");
    }

    // The whole schema except for names that PostgreSQL and Marten derive.
    private async Task<IReadOnlyList<string>> Database()
    {
        var tables = shared.App.Services.GetRequiredService<TableNames>();
        await using var command = shared.App.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand("""
            select format('column %s.%s %s', table_name, column_name, data_type) from information_schema.columns where table_schema = $1
            union all select format('index %s', indexname) from pg_indexes where schemaname = $1
            union all select format('function %s(%s)', proname, pg_get_function_identity_arguments(p.oid))
              from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = $1
            order by 1
            """);
        command.Parameters.Add(new() { Value = tables.Schema });
        var names = new List<string>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
            names.Add(reader.GetString(0));
        Assert.Contains("column mt_doc_message.id uuid", names);
        return names;
    }

    private IEnumerable<string> NodeEvents() => shared.App.Services.GetServices<NodeRoute>().Select(route => $"node event {route.Name}");

    private static IEnumerable<string> RedisNames()
    {
        var keys = new RedisKeys("prefix:");
        string[] names = [keys.UserChannel(One), keys.AllNodesChannel, keys.HeartbeatChannel, keys.Node(One), $"{keys.Ready(One)}",
            $"{keys.Online(One)}", $"{keys.Leases}"];
        return names.Select(name => $"redis {name}");
    }

    private static IEnumerable<string> Ids() =>
    [
        $"id member {Member.IdOf(One, Other)}",
        $"id block {Block.IdOf(One, Other)}",
        $"id direct {ConversationHead.IdOfDirect(One, Other)}",
        $"id message {DeterministicId.Of("message", One, Other, "tempId")}",
    ];
}
