using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Checks every connection once a second: pings it when due, and ends it if it is silent, stuck, expired or never
/// authenticated. One timer for the node instead of several for each socket; the protocol tolerates a second. It also
/// sweeps the rate limiters of idle users.
/// </summary>
internal sealed class Heartbeat(
    Hub hub, HttpConnectionLimiter http, SendRateLimiter rates, RequestRateLimiter requests, HandshakeRateLimiter handshakes,
    OpenConversationRateLimiter openings, ServerMetrics metrics, TimeProvider time)
    : BackgroundService
{
    /// <summary>The time between two checks.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                var (queued, longest) = (0, 0);
                foreach (var connection in hub.Connections)
                {
                    connection.EnforceTimeouts();
                    queued += connection.QueueLength;
                    longest = Math.Max(longest, connection.QueueLength);
                }

                metrics.RecordSendQueues(queued, longest);
                rates.Sweep();
                requests.Sweep();
                handshakes.Sweep();
                http.CloseSilent();
                openings.Sweep();
            }
        }
        catch (OperationCanceledException)
        {
            // The server stops; the drain ends the connections.
        }
    }
}
