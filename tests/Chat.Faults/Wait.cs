using System.Diagnostics;

namespace Chat.Faults;

/// <summary>Polls for conditions that take time.</summary>
internal static class Wait
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>Returns when the condition holds.</summary>
    /// <exception cref="TimeoutException">It did not hold in time.</exception>
    public static async Task UntilAsync(string what, TimeSpan timeout, Func<Task<bool>> isSo)
    {
        if (await HoldsAsync(timeout, isSo) is null)
            throw new TimeoutException($"Not within {timeout.TotalSeconds:0} s: {what}.");
    }

    /// <summary>Returns how long it took until the condition held; null if it did not hold in time.</summary>
    public static async Task<TimeSpan?> HoldsAsync(TimeSpan timeout, Func<Task<bool>> isSo)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await isSo())
        {
            if (Stopwatch.GetElapsedTime(began) > timeout)
                return null;
            await Task.Delay(Pause);
        }

        return Stopwatch.GetElapsedTime(began);
    }
}
