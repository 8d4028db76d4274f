using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Looks at every connection once a second, pings it when that is due, and ends those that are silent, stuck, expired or
/// never signed in. One timer for the node instead of several for each socket; a second's tolerance is what the protocol leaves us. It
/// also forgets the sending of those who have become quiet.
/// </summary>
internal sealed class Heartbeat(
    Hub hub, HttpConnectionLimiter http, SendRateLimiter rates, RequestRateLimiter requests, HandshakeRateLimiter handshakes, OpenConversationRateLimiter openings, ServerMetrics metrics, TimeProvider time)
    : BackgroundService
{
    /// <summary>The time between two looks.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                var (waiting, longest) = (0, 0);
                foreach (var connection in hub.Connections)
                {
                    connection.EnforceTimeouts();
                    waiting += connection.QueueLength;
                    longest = Math.Max(longest, connection.QueueLength);
                }

                metrics.RecordSendQueues(waiting, longest);
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
