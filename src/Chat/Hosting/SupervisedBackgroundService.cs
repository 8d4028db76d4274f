using StackExchange.Redis;

namespace Chat.Hosting;

/// <summary>
/// A hosted service made of endless loops. A loop that fails is said once and begun anew after a pause: these are the
/// loops that make other failures harmless, so none of them may end with the first one. With the host they all end.
/// </summary>
/// <param name="time">The clock of the pauses.</param>
/// <param name="log">Where failures are said.</param>
internal abstract partial class SupervisedBackgroundService(TimeProvider time, ILogger log) : BackgroundService
{
    private static readonly TimeSpan RestartDelay = TimeSpan.FromSeconds(1);

    /// <summary>The clock.</summary>
    protected TimeProvider Time => time;

    /// <summary>The loops, each with the name that the log gives it.</summary>
    protected abstract IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops { get; }

    protected sealed override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(Loops.Select(loop => RunAsync(loop.Name, loop.Body, stoppingToken)));

    /// <summary>Whether PostgreSQL or Redis was away: to be expected, and over by itself.</summary>
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
                // Of PostgreSQL and Redis themselves the log has told already; see Dependencies.
                if (IsTransientOutage(failure))
                    WillRetry(name, failure.Message);
                else
                    Failed(failure, name);
                await Task.Delay(RestartDelay, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    [LoggerMessage(220, LogLevel.Debug, "The {Loop} waits for PostgreSQL or Redis ({Reason})")]
    private partial void WillRetry(string loop, string reason);

    [LoggerMessage(221, LogLevel.Error, "The {Loop} failed and begins anew")]
    private partial void Failed(Exception failure, string loop);
}
