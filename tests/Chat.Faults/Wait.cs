using System.Diagnostics;

namespace Chat.Faults;

/// <summary>Waiting for what takes its time.</summary>
internal static class Wait
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>Returns when it is so.</summary>
    /// <exception cref="TimeoutException">It did not come to be so.</exception>
    public static async Task UntilAsync(string what, TimeSpan patience, Func<Task<bool>> isSo)
    {
        if (await HoldsAsync(patience, isSo) is null)
            throw new TimeoutException($"Not within {patience.TotalSeconds:0} s: {what}.");
    }

    /// <summary>How long it took to be so; null if it did not come to be so.</summary>
    public static async Task<TimeSpan?> HoldsAsync(TimeSpan patience, Func<Task<bool>> isSo)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await isSo())
        {
            if (Stopwatch.GetElapsedTime(began) > patience)
                return null;
            await Task.Delay(Pause);
        }

        return Stopwatch.GetElapsedTime(began);
    }
}
