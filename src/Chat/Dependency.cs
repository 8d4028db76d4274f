namespace Chat;

/// <summary>
/// Whether something that the server needs is available, as everybody who uses it finds out. Each change of state is told
/// once, and what goes on meanwhile in a summary: an outage must not write a line for each of those it concerns.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="lines">What is told, and how.</param>
internal sealed class Dependency(TimeProvider time, DependencyLines lines)
{
    /// <summary>How long nothing may fail before it counts as back: what half works would else change state all the time.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan SummaryInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LeastInterval = TimeSpan.FromSeconds(1);
    private readonly Lock gate = new();
    private volatile bool isUnavailable;
    private long since;
    private long failedAt;
    private long toldAt;
    private string? told;
    private string? reason;
    private bool isRefusal;
    private long sends;
    private long others;

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
    public TimeSpan Lasting
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
                (since, sends, others) = (now, 0, 0);
                isUnavailable = true;
                Tell(() => lines.Unavailable(why), now);
            }

            sends += refusedSends;
            others += refusedOthers;
        }
    }

    /// <summary>An event or a request was answered UNAVAILABLE without a try.</summary>
    public void Refused()
    {
        lock (gate)
            others++;
    }

    /// <summary>It has done what was asked of it. Asked for only while it is unavailable, so that nobody pays for it otherwise.</summary>
    public void Succeeded()
    {
        if (!isUnavailable)
            return;
        lock (gate)
        {
            if (!isUnavailable || time.GetElapsedTime(failedAt) < Quiet)
                return;
            isUnavailable = false;
            lines.Back(Seconds(time.GetElapsedTime(since)), sends, others);
        }
    }

    /// <summary>Tells how it goes on, every ten seconds and when it fails for another reason than before; to be called about once a second.</summary>
    public void Summarize()
    {
        lock (gate)
        {
            var now = time.GetTimestamp();
            var silent = time.GetElapsedTime(toldAt, now);
            if (isUnavailable && (silent >= SummaryInterval || (reason != told && silent >= LeastInterval)))
                Tell(() => lines.StillUnavailable(Seconds(time.GetElapsedTime(since, now)), reason!, sends, others), now);
        }
    }

    private void Tell(Action line, long now)
    {
        (told, toldAt) = (reason, now);
        line();
    }

    private static long Seconds(TimeSpan duration) => (long)Math.Round(duration.TotalSeconds);
}

/// <summary>What is told of one dependency.</summary>
internal abstract class DependencyLines
{
    /// <summary>It has become unavailable.</summary>
    public abstract void Unavailable(string reason);

    /// <summary>It is unavailable still.</summary>
    public abstract void StillUnavailable(long seconds, string reason, long sends, long others);

    /// <summary>It is available again.</summary>
    public abstract void Back(long seconds, long sends, long others);
}
