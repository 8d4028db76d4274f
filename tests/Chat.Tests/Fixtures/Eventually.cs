using System.Diagnostics;

namespace Chat.Tests.Fixtures;

/// <summary>Waits for what other processes do. Within this one a test awaits the thing itself.</summary>
public static class Eventually
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);

    /// <summary>
    /// How long a test waits for what must come: longer than any machine takes that others use at the same time. What is
    /// promised within a time is measured by a clock of the test's own, or said with a time of its own.
    /// </summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Returns as soon as the condition holds; fails with <paramref name="what"/> if it does not in time.</summary>
    public static async Task Holds(string what, Func<bool> condition)
    {
        for (var clock = Stopwatch.StartNew(); !condition(); await Task.Delay(Interval))
            Assert.True(clock.Elapsed < Patience, $"Not within {Patience.TotalSeconds} s: {what}");
    }

    /// <summary>Lets time pass that is itself what an experiment is about: how long a server is away, or a load lasts.</summary>
    public static Task After(TimeSpan time, CancellationToken ending = default) =>
        time <= TimeSpan.Zero ? Task.CompletedTask : Task.Delay(time, ending);

    /// <summary>Returns as soon as nothing is wrong; fails with what still is when the time is over.</summary>
    /// <param name="fault">Looks, and tells what is wrong; null if nothing is.</param>
    /// <param name="patience">How long to look.</param>
    public static async Task IsRight(Func<Task<string?>> fault, TimeSpan? patience = null)
    {
        for (var clock = Stopwatch.StartNew(); await fault() is { } wrong; await Task.Delay(Interval))
            Assert.True(clock.Elapsed < (patience ?? Patience), wrong);
    }
}
