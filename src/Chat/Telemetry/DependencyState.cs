namespace Chat.Telemetry;

/// <summary>
/// Whether something that the server needs is available, as everybody who uses it finds out. Each change of state is told
/// once, and what goes on meanwhile in a summary: an outage must not write a line for each of those it concerns.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="lines">What is told, and how.</param>
internal sealed class DependencyState(TimeProvider time, DependencyLog lines)
{
    /// <summary>How long nothing may fail before it counts as back: what half works would else change state all the time.</summary>
    private static readonly TimeSpan RecoveryDelay = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan SummaryInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan MinLogInterval = TimeSpan.FromSeconds(1);
    private readonly Lock gate = new();
    private volatile bool isUnavailable;
    private long since;
    private long failedAt;
    private long loggedAt;
    private string? logged;
    private string? reason;
    private bool isRefusal;
    private long refusedSends;
    private long refusedOthers;

    /// <summary>Whether it is unavailable just now. Costs nothing to ask.</summary>
    public bool IsUnavailable => isUnavailable;

    /// <summary>What it refuses us for, in its own words; null while it is available, or simply does not answer.</summary>
    public string? Refusal
    {
        get
        {
            lock (gate)
                return isUnavailable && isRefusal ? reason : null;
        }
    }

    /// <summary>For how long it has been unavailable; zero while it is available.</summary>
    public TimeSpan OutageDuration
    {
        get
        {
            lock (gate)
                return isUnavailable ? time.GetElapsedTime(since) : TimeSpan.Zero;
        }
    }

    /// <summary>Something could not be done because of it.</summary>
    /// <param name="why">What it said, or how it did not answer.</param>
    /// <param name="isRefused">Whether it answered, and refused us.</param>
    /// <param name="refusedSends">How many sends were answered UNAVAILABLE for it.</param>
    /// <param name="refusedOthers">How many other events and requests were.</param>
    public void Failed(string why, bool isRefused = false, int refusedSends = 0, int refusedOthers = 0)
    {
        lock (gate)
        {
            var now = time.GetTimestamp();
            (reason, isRefusal, failedAt) = (why, isRefused, now);
            if (!isUnavailable)
            {
                (since, refusedSends, refusedOthers) = (now, 0, 0);
                isUnavailable = true;
                Log(() => lines.Unavailable(why), now);
            }

            this.refusedSends += refusedSends;
            this.refusedOthers += refusedOthers;
        }
    }

    /// <summary>An event or a request was answered UNAVAILABLE without a try.</summary>
    public void Refused()
    {
        lock (gate)
            refusedOthers++;
    }

    /// <summary>It has done what was asked of it. Asked for only while it is unavailable, so that nobody pays for it otherwise.</summary>
    public void Succeeded()
    {
        if (!isUnavailable)
            return;
        lock (gate)
        {
            if (!isUnavailable || time.GetElapsedTime(failedAt) < RecoveryDelay)
                return;
            isUnavailable = false;
            lines.Recovered(Seconds(time.GetElapsedTime(since)), refusedSends, refusedOthers);
        }
    }

    /// <summary>Tells how it goes on, every ten seconds and when it fails for another reason than before; to be called about once a second.</summary>
    public void Summarize()
    {
        lock (gate)
        {
            var now = time.GetTimestamp();
            var silent = time.GetElapsedTime(loggedAt, now);
            if (isUnavailable && (silent >= SummaryInterval || (reason != logged && silent >= MinLogInterval)))
                Log(() => lines.StillUnavailable(Seconds(time.GetElapsedTime(since, now)), reason!, refusedSends, refusedOthers), now);
        }
    }

    private void Log(Action line, long now)
    {
        (logged, loggedAt) = (reason, now);
        line();
    }

    private static long Seconds(TimeSpan duration) => (long)Math.Round(duration.TotalSeconds);
}

/// <summary>What is told of one dependency.</summary>
internal abstract class DependencyLog
{
    /// <summary>It has become unavailable.</summary>
    public abstract void Unavailable(string reason);

    /// <summary>It is unavailable still.</summary>
    public abstract void StillUnavailable(long seconds, string reason, long sends, long others);

    /// <summary>It is available again.</summary>
    public abstract void Recovered(long seconds, long sends, long others);
}
