using System.Net;
using Chat.Features;
using Chat.Socket;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace Chat.Tests.Socket;

/// <summary>Shutdown: running requests are completed, and all clients are told to reconnect.</summary>
public sealed class DrainTests
{
    private readonly TestUser alice = ChatApp.NewUser();
    private readonly TestUser bob = ChatApp.NewUser();

    [Fact]
    public async Task During_shutdown_a_running_send_is_acknowledged_then_1012_and_503_for_new_connections()
    {
        await using var app = await ChatApp.Start(fakeClock: true, onKestrel: true);
        var conversation = await app.OpenDirect(alice, bob);
        await using var sender = await app.Connect(alice);
        await using var idle = await app.Connect(bob);
        await using var nobody = await app.Open();

        // The commit waits for this lock, which the test holds.
        await using var database = NpgsqlDataSource.Create((await TestServers.Get()).Postgres);
        await using var locking = await database.OpenConnectionAsync();
        await using var transaction = await locking.BeginTransactionAsync();
        await using (var command = new NpgsqlCommand(
            $"select 1 from {app.Services.GetRequiredService<TableNames>().ConversationHead} where id = $1 for update", locking,
            transaction))
        {
            command.Parameters.Add(new() { Value = conversation });
            Assert.NotNull(await command.ExecuteScalarAsync());
        }

        await sender.Send("message.send", new { conversationId = conversation, content = "last words", tempId = "t1" }, "s1");
        await sender.Send("message.send", new { conversationId = conversation, content = "too late" }, "s2");
        await Eventually.Until("the send waits for the lock", () => IsWaited(database, locking.ProcessID));

        app.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();

        Assert.Equal(1012, await idle.Closed());
        Assert.Equal(1012, await nobody.Closed());
        using (var late = await RawSocket.Shake(app, $"Authorization: Bearer {app.TokenFor(bob)}\r\n"))
            Assert.Equal((int)HttpStatusCode.ServiceUnavailable, late.Status);
        Assert.DoesNotContain(sender.Frames, frame => frame.Id is not null);

        await transaction.CommitAsync();

        var sent = await sender.ReplyTo("s1");
        Assert.Equal("message.sent", sent.Type);
        Assert.Equal(1, sent.Number("message.seq"));
        Assert.Equal(1012, await sender.Closed());
        // Requests that had not started are dropped: no reply, and nothing stored.
        Assert.DoesNotContain(sender.Frames, frame => frame.Id == "s2");
        Assert.Equal(1L, await Count(database, app, conversation));
    }

    [Fact]
    public async Task Many_connections_are_all_notified()
    {
        await using var app =
            await ChatApp.Start(new() { ["Limits:DrainSpread"] = "00:00:00.2", ["Limits:AuthTimeout"] = "01:00:00" }, onKestrel: true);
        var clients = await Task.WhenAll(Enumerable.Range(0, 120).Select(_ => app.Open()));

        app.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();

        Assert.All(await Task.WhenAll(clients.Select(client => client.Closed())), code => Assert.Equal(1012, code));
        await Eventually.Until("the hub is empty", () => app.Services.GetRequiredService<Hub>().Count == 0);
        foreach (var client in clients)
            await client.DisposeAsync();
    }

    private static bool IsWaited(NpgsqlDataSource database, int holder)
    {
        using var command = database.CreateCommand("select exists (select from pg_stat_activity where $1 = any(pg_blocking_pids(pid)))");
        command.Parameters.Add(new() { Value = holder });
        return (bool)command.ExecuteScalar()!;
    }

    private static async Task<long> Count(NpgsqlDataSource database, ChatApp app, Guid conversation)
    {
        await using var command = database.CreateCommand(
            $"select count(*) from {app.Services.GetRequiredService<TableNames>().Message} where conversation_id = $1");
        command.Parameters.Add(new() { Value = conversation });
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
