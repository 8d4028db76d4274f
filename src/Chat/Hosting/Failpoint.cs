using System.Diagnostics;

namespace Chat.Hosting;

/// <summary>
/// Faults that no one can cause from outside, for the fault bench: the process dies in a certain place, or its clock is
/// wrong. They exist in Debug builds only, a release has nothing of them; and the start check refuses their settings in
/// Production and in every release.
/// </summary>
internal static class Failpoint
{
    /// <summary>The configuration section.</summary>
    public const string Section = "Failpoints";

    /// <summary>A message is committed, and nobody knows yet.</summary>
    public const string AfterCommit = "AfterCommit";

    /// <summary>The sender has its answer, and no other node knows yet.</summary>
    public const string AfterAck = "AfterAck";

    private const string ClockOffset = "ClockOffset";

    /// <summary>Whether this build has any.</summary>
#if DEBUG
    public static bool Exists => true;
#else
    public static bool Exists => false;
#endif

    /// <summary>The settings there are.</summary>
    public static IReadOnlyList<string> Names { get; } = [AfterCommit, AfterAck, ClockOffset];

    /// <summary>Kills this process, if the message that it is about is the one that the setting names.</summary>
    /// <param name="name">The place.</param>
    /// <param name="content">What the message says.</param>
    /// <param name="grace">Milliseconds in which what was done before gets out.</param>
    [Conditional("DEBUG")]
    public static void Reach(string name, string content, int grace = 0)
    {
#if DEBUG
        if (Environment.GetEnvironmentVariable($"{Section}__{name}") != content)
            return;
        Thread.Sleep(grace);
        Process.GetCurrentProcess().Kill();
        Thread.Sleep(Timeout.Infinite);
#endif
    }

    /// <summary>The clock of the node.</summary>
    public static TimeProvider Clock(IConfiguration configuration)
    {
#if DEBUG
        if (configuration.GetValue<TimeSpan?>($"{Section}:{ClockOffset}") is { } offset)
            return new WrongClock(offset);
#endif
        return TimeProvider.System;
    }

#if DEBUG
    private sealed class WrongClock(TimeSpan offset) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + offset;
    }
#endif
}
