using System.Net;
using Chat.Features;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Npgsql;

namespace Chat.Tests.Degradation;

/// <summary>
/// Operator mistakes with PostgreSQL under a running node: requests are answered UNAVAILABLE and not counted as the client's
/// errors, readiness reports PostgreSQL's message, and the log has one line for each change of state.
/// </summary>
public sealed class OperatorFaultTests
{
    // Concurrent client requests; more than Limits:MaxErrors allows.
    private const int Sends = 6;

    [Theory]
    [InlineData(
        "alter role {0} password 'rotated'", "alter role {0} password '{0}'", "password authentication failed for user \"{0}\" (28P01)")]
    [InlineData("alter role {0} connection limit 0", "alter role {0} connection limit -1", "too many connections for role \"{0}\" (53300)")]
    [InlineData("alter role {0} nologin", "alter role {0} login", "is not permitted to log in (28000)")]
    [InlineData("revoke insert on {0}.mt_doc_message from {0}", "grant insert on {0}.mt_doc_message to {0}",
        "permission denied for table mt_doc_message (42501)")]
    [InlineData("revoke usage on schema {0} from {0}", "grant usage on schema {0} to {0}", "permission denied for schema {0} (42501)")]
    [InlineData("alter role {0} set default_transaction_read_only = on", "alter role {0} reset all", "in a read-only transaction (25006)")]
    public async Task Is_answered_UNAVAILABLE_and_logged_with_PostgreSQLs_message(string fault, string repair, string said)
    {
        var servers = await TestServers.Get();
        await using var admin = NpgsqlDataSource.Create(servers.Postgres);
        var name = $"op{Guid.NewGuid():N}"[..20];
        var database = new NpgsqlConnectionStringBuilder(servers.Postgres).Database ?? "postgres";
        await Run(admin, $"create role {name} login password '{name}'; grant create on database \"{database}\" to {name}");
        var mine = new NpgsqlConnectionStringBuilder(servers.Postgres) { Username = name, Password = name, MaxPoolSize = 20 };
        await using var app = await ChatApp.Start(new()
        {
            ["ConnectionStrings:Postgres"] = mine.ConnectionString,
            ["Storage:Schema"] = name,
            ["Limits:MaxErrors"] = "3",
        });
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var client = await app.Connect(alice);
        Assert.Equal("message.sent", (await client.SendMessage(conversation, "before", "t0")).Type);
        using var log = LogCapture.Of(app);

        // Like a rotated password: existing connections are unaffected, but a node's connections are recycled.
        await Run(admin, Of(fault));
        await Run(admin, $"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{name}'");
        for (var i = 0; i < Sends; i++)
        {
            var refused = await client.SendMessage(conversation, "during", $"t{i + 1}");
            refused.IsError("UNAVAILABLE");
            Assert.True(refused.Flag("retryable"));
        }

        await Eventually.UntilNoError(async () => (await app.Ready(HttpStatusCode.ServiceUnavailable)).Text("postgres") is var now && now!.Contains(Of(said), StringComparison.Ordinal) ? null : now);
        await Run(admin, Of(repair));
        await Run(admin, $"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{name}'");
        // On the same connection: none of this counted as the client's errors.
        await Eventually.UntilNoError(async () =>
            (await client.SendMessage(conversation, "after", "t9")) is { Type: not "message.sent" } refused ? $"{refused["code"]}" : null);
        await app.Ready(HttpStatusCode.OK);

        await Eventually.Until("the log has the end",
            () => log.Of<DependencyStates>().Any(line => line.StartsWith("PostgreSQL has recovered after", StringComparison.Ordinal)));
        var lines = log.Of<DependencyStates>();
        Assert.StartsWith("PostgreSQL is unavailable (", lines[0], StringComparison.Ordinal);
        Assert.Contains(lines, line => line.Contains(Of(said), StringComparison.Ordinal));
        Assert.InRange(log.All.Count, 2, 10);
        Assert.DoesNotContain(log.All, line => line.Contains("   at ", StringComparison.Ordinal));

        string Of(string text) => text.Replace("{0}", name, StringComparison.Ordinal);
    }

    private static async Task Run(NpgsqlDataSource database, string sql)
    {
        await using var command = database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
