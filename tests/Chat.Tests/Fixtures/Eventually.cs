using System.Diagnostics;

namespace Chat.Tests.Fixtures;

/// <summary>Waits for what other processes do. Within this one a test awaits the thing itself.</summary>
public static class Eventually
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);

    /// <summary>Returns as soon as the condition holds; fails with <paramref name="what"/> if it does not in time.</summary>
    public static async Task Holds(string what, Func<bool> condition, double seconds = 15)
    {
        for (var clock = Stopwatch.StartNew(); !condition(); await Task.Delay(Interval))
            Assert.True(clock.Elapsed.TotalSeconds < seconds, $"Not within {seconds} s: {what}");
    }
}
