using StackExchange.Redis;

namespace Chat.Hosting;

/// <summary>
/// A hosted service of long-lived loops. A loop that throws is logged and restarted after a delay: these loops recover from
/// other failures, so none of them may end with the first one. They all end with the host.
/// </summary>
/// <param name="time">The clock of the restart delay.</param>
/// <param name="log">The log for failures.</param>
internal abstract partial class SupervisedBackgroundService(TimeProvider time, ILogger log) : BackgroundService
{
    private static readonly TimeSpan RestartDelay = TimeSpan.FromSeconds(1);

    /// <summary>The clock.</summary>
    protected TimeProvider Time => time;

    /// <summary>The loops, each with its name in the log.</summary>
    protected abstract IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops { get; }

    protected sealed override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(Loops.Select(loop => RunAsync(loop.Name, loop.Body, stoppingToken)));

    /// <summary>Whether PostgreSQL or Redis was unavailable, which is expected and temporary.</summary>
    protected static bool IsTransientOutage(Exception failure) =>
        failure is RedisException or TimeoutException || DatabaseFailure.IsUnavailable(failure);

    private async Task RunAsync(string name, Func<CancellationToken, Task> body, CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await body(stopping);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // See the type's summary.
            catch (Exception failure)
#pragma warning restore CA1031
            {
                // Outages of PostgreSQL and Redis are logged by DependencyState.
                if (IsTransientOutage(failure))
                    WillRetry(name, failure.Message);
                else
                    Failed(failure, name);
                await Task.Delay(RestartDelay, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    [LoggerMessage(220, LogLevel.Debug, "PostgreSQL or Redis is unavailable ({Reason}); {Loop} will retry")]
    private partial void WillRetry(string loop, string reason);

    [LoggerMessage(221, LogLevel.Error, "{Loop} failed and is restarted")]
    private partial void Failed(Exception failure, string loop);
}
