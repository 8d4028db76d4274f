using System.Diagnostics;

namespace Chat.Tests.Fixtures;

/// <summary>Waits for effects in other processes. Within this one, tests await the effect itself.</summary>
public static class Eventually
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);

    /// <summary>
    /// How long a test waits for what must happen: longer than a busy machine takes. Promised durations are measured with the
    /// test's own clock, or given explicitly.
    /// </summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(60);

    /// <summary>Returns as soon as the condition holds; fails with <paramref name="what"/> if it does not hold in time.</summary>
    public static async Task Until(string what, Func<bool> condition)
    {
        for (var clock = Stopwatch.StartNew(); !condition(); await Task.Delay(Interval))
            Assert.True(clock.Elapsed < Timeout, $"Not within {Timeout.TotalSeconds} s: {what}");
    }

    /// <summary>Waits for a duration that is itself the subject of an experiment, such as the length of an outage or a load.</summary>
    public static Task After(TimeSpan time, CancellationToken ending = default) =>
        time <= TimeSpan.Zero ? Task.CompletedTask : Task.Delay(time, ending);

    /// <summary>Returns as soon as nothing is wrong; fails with the last error when the timeout has elapsed.</summary>
    /// <param name="error">Returns what is wrong; null if nothing is.</param>
    /// <param name="timeout">How long to retry.</param>
    public static async Task UntilNoError(Func<Task<string?>> error, TimeSpan? timeout = null)
    {
        for (var clock = Stopwatch.StartNew(); await error() is { } current; await Task.Delay(Interval))
            Assert.True(clock.Elapsed < (timeout ?? Timeout), current);
    }
}
