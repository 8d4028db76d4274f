namespace Chat.Telemetry;

/// <summary>
/// Tracks the availability of a dependency, as reported by those who use it. Changes of state are logged once, and an outage
/// in periodic summaries: it must not log a line for each failed request.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="lines">Writes the dependency's log lines.</param>
internal sealed class DependencyState(TimeProvider time, DependencyLog lines)
{
    /// <summary>The time without a failure before it counts as recovered; a partial failure would else flap.</summary>
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

    /// <summary>Whether it is unavailable. Takes no lock.</summary>
    public bool IsUnavailable => isUnavailable;

    /// <summary>Why it rejects us, in its own words; null while it is available, or does not answer at all.</summary>
    public string? Refusal
    {
        get
        {
            lock (gate)
                return isUnavailable && isRefusal ? reason : null;
        }
    }

    /// <summary>How long it has been unavailable; zero while it is available.</summary>
    public TimeSpan OutageDuration
    {
        get
        {
            lock (gate)
                return isUnavailable ? time.GetElapsedTime(since) : TimeSpan.Zero;
        }
    }

    /// <summary>Records a failure.</summary>
    /// <param name="error">The error.</param>
    /// <param name="isRejection">Whether it answered and rejected us.</param>
    /// <param name="refusedSends">The number of messages answered with UNAVAILABLE.</param>
    /// <param name="refusedOthers">The number of other events and requests answered with UNAVAILABLE.</param>
    public void Failed(string error, bool isRejection = false, int refusedSends = 0, int refusedOthers = 0)
    {
        lock (gate)
        {
            var now = time.GetTimestamp();
            (reason, isRefusal, failedAt) = (error, isRejection, now);
            if (!isUnavailable)
            {
                (since, this.refusedSends, this.refusedOthers) = (now, 0, 0);
                isUnavailable = true;
                Log(() => lines.Unavailable(error), now);
            }

            this.refusedSends += refusedSends;
            this.refusedOthers += refusedOthers;
        }
    }

    /// <summary>Records an event or request that was answered with UNAVAILABLE without an attempt.</summary>
    public void Refused()
    {
        lock (gate)
            refusedOthers++;
    }

    /// <summary>Records a success. Costs one field read while it is available.</summary>
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

    /// <summary>
    /// Logs the state of an outage, every ten seconds and when its reason changes. To be called about once a second.
    /// </summary>
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

/// <summary>The log lines of one dependency.</summary>
internal abstract class DependencyLog
{
    /// <summary>Logs the start of an outage.</summary>
    public abstract void Unavailable(string reason);

    /// <summary>Logs a summary of an outage.</summary>
    public abstract void StillUnavailable(long seconds, string reason, long sends, long others);

    /// <summary>Logs the end of an outage.</summary>
    public abstract void Recovered(long seconds, long sends, long others);
}
