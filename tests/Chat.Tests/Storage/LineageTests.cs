using System.Diagnostics;
using Chat.Embedded;
using Chat.Features;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Chat.Tests.Start;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Storage;

/// <summary>The epoch changes when the database is replaced, once for all nodes, and at no other time.</summary>
public sealed class LineageTests
{
    [Fact]
    public async Task The_epoch_survives_restarts_and_is_the_same_on_every_node()
    {
        await using var app = await ChatApp.Start();
        await using var other = await app.StartNode();

        Assert.Equal(Epoch(app), Epoch(other));
        Assert.NotEqual(Guid.Empty, Epoch(app));
    }

    [Fact]
    public async Task On_another_server_or_timeline_all_nodes_start_the_same_new_epoch()
    {
        await using var app = await ChatApp.Start(fakeClock: true);
        await using var client = await app.Connect(ChatApp.NewUser());
        var (before, lineage) = (Epoch(app), app.Services.GetRequiredService<DatabaseEpoch>());
        // As in a restored backup: written by another server.
        await Write(app, new LineageDocument { Epoch = before, Origin = "7000000000000000001/00000001/16384" });

        var others = await Task.WhenAll(app.StartNode(), app.StartNode());

        var epoch = Epoch(others[0]);
        Assert.NotEqual(before, epoch);
        Assert.Equal(epoch, Epoch(others[1]));
        // The node that kept running cannot know which of its sequence numbers are still valid: it shuts down.
        Assert.Equal(before, lineage.Epoch);
        app.Clock!.Advance(TimeSpan.FromSeconds(5));
        await Eventually.Until("the node ends", () => lineage.WasLost);
        Assert.Equal(1012, await client.Closed());
        Assert.False(others[0].Services.GetRequiredService<DatabaseEpoch>().WasLost);
        foreach (var node in others)
            await node.DisposeAsync();
    }

    [Fact]
    public async Task A_database_from_a_version_without_lineage_keeps_its_epoch()
    {
        await using var app = await ChatApp.Start();
        var before = Epoch(app);
        await Write(app, new LineageDocument { Epoch = before });

        await using var next = await app.StartNode();

        Assert.Equal(before, Epoch(next));
        await using var session = app.Services.GetRequiredService<IDocumentStore>().QuerySession();
        Assert.Matches("^[0-9]+/[0-9A-F]{8}/[0-9]+$", (await session.LoadAsync<LineageDocument>(LineageDocument.TheOne))!.Origin);
    }

    [Fact]
    public async Task The_epoch_command_starts_a_new_epoch_for_any_database()
    {
        await using var app = await ChatApp.Start(fakeClock: true);
        var before = Epoch(app);

        var renewed = await app.Services.GetRequiredService<DatabaseEpoch>().RenewAsync();

        Assert.NotEqual(before, renewed);
        await using var next = await app.StartNode();
        Assert.Equal(renewed, Epoch(next));
    }

    [DrillFact]
    public async Task A_restored_backup_is_complete_and_starts_a_new_epoch()
    {
        using var temp = new TempFolder();
        await using var postgres = await EmbeddedPostgres.StartAsync(new() { DataPath = temp.Below("data"), ThrowAway = true });
        await using var app =
            await ChatApp.Start(new() { ["ConnectionStrings:Postgres"] = postgres.ConnectionString, ["Storage:Schema"] = "chat" });
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        await using var client = await app.Connect(alice);
        var conversation = await app.OpenDirect(alice, bob);
        for (var i = 0; i < 20; i++)
            Assert.Equal("message.sent", (await client.SendMessage(conversation, $"{i}")).Type);

        var drill = new ProcessStartInfo(
            Path.Combine(Checkout(), "deploy", "backup", "drill"))
        { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in await Production.Settings())
            drill.Environment[name] = value;
        var source = new NpgsqlConnectionStringBuilder(postgres.ConnectionString);
        (string Name, string? Value)[] settings =
        [
            ("PGHOST", source.Host), ("PGPORT", $"{source.Port}"), ("PGUSER", source.Username), ("PGPASSWORD", source.Password),
                ("PGDATABASE", source.Database),
            ("Storage__Schema", "chat"), ("CHAT", Program()), ("TMPDIR", "/tmp"),
        ];
        foreach (var (name, value) in settings)
            drill.Environment[name] = value;
        using var process = Process.Start(drill)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        Assert.True(process.ExitCode == 0, $"{output}\n{await errors}");
        Assert.Contains($"drill passed: 20 messages, no hole, epoch {Epoch(app)} became ", output, StringComparison.Ordinal);
        Assert.Equal("message.sent", (await client.SendMessage(conversation, "nothing was disturbed")).Type);
    }

    // The original build, not the copy beside the tests: with coverage, that one writes into our files, and the drill does not
    // run as root.
    private static string Program()
    {
        var copy = typeof(EmbeddedServers).Assembly.Location;
        var framework = Path.GetDirectoryName(copy)!;
        return Path.Combine(Checkout(), "src", "Chat", "bin", Path.GetFileName(Path.GetDirectoryName(framework)!),
            Path.GetFileName(framework), Path.GetFileName(copy));
    }

    private static Guid Epoch(ChatApp app) => app.Services.GetRequiredService<DatabaseEpoch>().Epoch;

    private static async Task Write(ChatApp app, LineageDocument document)
    {
        await using var session = app.Services.GetRequiredService<IDocumentStore>().LightweightSession();
        session.Store(document);
        await session.SaveChangesAsync();
    }

    private static string Checkout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Chat.sln")))
            folder = Path.GetDirectoryName(folder)!;
        return folder;
    }
}

/// <summary>Requires the backup programs, which the downloaded embedded PostgreSQL does not include.</summary>
internal sealed class DrillFactAttribute : FactAttribute
{
    public DrillFactAttribute()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        if (!folders.Append("/usr/lib/postgresql").Any(folder => Directory.Exists(folder) && Directory.EnumerateFiles(
            folder, "pg_basebackup", folder == "/usr/lib/postgresql" ? SearchOption.AllDirectories : SearchOption.TopDirectoryOnly).Any()))
            Skip = "pg_basebackup is not installed on this machine.";
    }
}
