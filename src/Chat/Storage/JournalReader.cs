using Chat.Hosting;

namespace Chat.Storage;

/// <summary>
/// Reads the journal, from before this node's first sign-in, and passes on what it says: a lost publish, a node that is cut off
/// from Redis or dies after a commit, and an outage of Redis are thus all recovered in the same way, at a cost that depends on what
/// happens and not on what exists.
/// </summary>
/// <remarks>
/// Each entry is due twice: one interval after it was read, when it should have arrived, and once more after the time that a user's
/// positions take to load at most, for users who signed in meanwhile.
/// </remarks>
internal sealed class JournalReader(
    Journal journal, Func<IEnumerable<IJournalObserver>> observers, TimeProvider time, ILogger<JournalReader> log)
    : SupervisedBackgroundService(time, log)
{
    /// <summary>The time between two reads.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(800);

    private const int ReadsUntilLast = 7;
    private static readonly TimeSpan TrimInterval = TimeSpan.FromMinutes(10);
    private readonly Queue<IReadOnlyList<JournalEntry>> recent = new(Enumerable.Repeat<IReadOnlyList<JournalEntry>>([], ReadsUntilLast));
    private IReadOnlyList<JournalEntry> previous = [];
    private DatabaseSnapshot? position;

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops =>
        [("journal", ReadAsync), ("journal retention", TrimAsync)];

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        while (await journal.RemoveForeignAsync(cancellationToken))
            ;
        position = await journal.PositionAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    private async Task ReadAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            var (reached, entries) = await journal.ReadAsync(position!, stopping);
            IReadOnlyList<JournalEntry> due = [.. previous, .. recent.Dequeue()];
            recent.Enqueue(entries);
            (position, previous) = (reached, entries);
            foreach (var observer in observers())
                await observer.CheckAsync(due);
        }
    }

    private async Task TrimAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(TrimInterval, Time);
        while (await timer.WaitForNextTickAsync(stopping))
        {
            while (await journal.TrimAsync(stopping))
                ;
        }
    }
}
