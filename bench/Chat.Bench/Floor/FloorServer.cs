using System.Collections.Concurrent;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;

namespace Chat.Bench.Floor;

/// <summary>
/// The baseline: a bare Kestrel relay that does the minimum for durable acknowledgements on this machine. It uses the same
/// handshake and frames as the chat server, but two frames per message instead of five, without tokens, checks, persistent
/// sequence numbers or further nodes. The difference to the chat server is the cost of its guarantees.
/// </summary>
internal static class FloorServer
{
    /// <summary>Runs until shutdown.</summary>
    public static async Task<int> RunAsync(Options options)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        await using var log =
            await FloorLog.StartAsync(options.Text("postgres") ?? throw new BenchException("The floor server requires --postgres."));
        await using var app = builder.Build();
        var conversations = new ConcurrentDictionary<Guid, FloorConnection[]>();
        app.UseWebSockets();
        app.MapGet("/ready", () => "ready");
        app.Map("/chat/ws", async http =>
        {
            var user = Guid.Parse(http.Request.Query["token"].ToString());
            var conversation = Guid.Parse(http.Request.Query["conversation"].ToString());
            using var socket = await http.WebSockets.AcceptWebSocketAsync();
            var connection = new FloorConnection(socket, user);
            conversations.AddOrUpdate(conversation, _ => [connection], (_, others) => [.. others, connection]);
            connection.Send("""{"type":"auth_success","payload":{}}"""u8.ToArray());
            try
            {
                await connection.RunAsync(frame => log.Append(frame, connection, conversations[conversation]));
            }
            catch (WebSocketException)
            {
                // The client disconnected without a close frame.
            }
            finally
            {
                conversations.AddOrUpdate(conversation, _ => [], (_, others) => [.. others.Where(other => other != connection)]);
            }
        });
        await app.RunAsync();
        return 0;
    }
}
