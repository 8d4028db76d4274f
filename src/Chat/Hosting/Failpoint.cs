using System.Diagnostics;

namespace Chat.Hosting;

/// <summary>
/// Faults that cannot be caused from outside, for fault tests: the process dies at a given point, or its clock is wrong. They
/// exist in Debug builds only; the startup validation rejects their settings in Production and in every release build.
/// </summary>
internal static class Failpoint
{
    /// <summary>The configuration section.</summary>
    public const string Section = "Failpoints";

    /// <summary>A message is committed, and no one has been notified yet.</summary>
    public const string AfterCommit = "AfterCommit";

    /// <summary>The sender has the reply, and no other node has been notified yet.</summary>
    public const string AfterAck = "AfterAck";

    private const string ClockOffset = "ClockOffset";

    /// <summary>Whether this build has failpoints.</summary>
#if DEBUG
    public static bool Exists => true;
#else
    public static bool Exists => false;
#endif

    /// <summary>The names of all failpoints.</summary>
    public static IReadOnlyList<string> Names { get; } = [AfterCommit, AfterAck, ClockOffset];

    /// <summary>Kills this process if the message's content equals the failpoint's setting.</summary>
    /// <param name="name">The failpoint.</param>
    /// <param name="content">The message's content.</param>
    /// <param name="grace">Milliseconds to wait first, so that pending output is flushed.</param>
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

    /// <summary>Returns the node's clock.</summary>
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
