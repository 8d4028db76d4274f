using System.Collections.Concurrent;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;

namespace Chat.Bench.Floor;

/// <summary>
/// The least that a server could do on this machine and still keep what it acknowledges: a bare Kestrel relay. Same
/// handshake and same frames as ours, but two of them a message instead of five; no token, no check, no number that
/// survives a restart, no other node. What we are slower than this is what the promises cost.
/// </summary>
internal static class FloorServer
{
    /// <summary>Runs until it is told to stop.</summary>
    public static async Task<int> RunAsync(Options options)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        await using var log = await FloorLog.StartAsync(options.Text("postgres") ?? throw new BenchException("The floor needs --postgres."));
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
                // Gone without a close.
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
