using System.Collections.Concurrent;
using System.Diagnostics;

namespace Chat.Faults;

/// <summary>People of a load who sign in on one more device, one after the other, fetch what there is, and leave again.</summary>
internal sealed class Newcomers : IAsyncDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly ConcurrentQueue<(TimeSpan At, TimeSpan Took, bool IsIn)> tries = new();
    private readonly CancellationTokenSource stopping = new();
    private readonly Load load;
    private readonly Task coming;

    public Newcomers(Load load)
    {
        this.load = load;
        coming = Task.Run(ComeAsync);
    }

    /// <summary>How long the slowest one took that began in a part of the time, and how many there were, and were refused.</summary>
    public (TimeSpan Slowest, int Tries, int Refused) Seen(TimeSpan from, TimeSpan to)
    {
        var seen = tries.Where(one => one.At >= from && one.At < to).ToArray();
        return (seen.Select(one => one.Took).DefaultIfEmpty().Max(), seen.Length, seen.Count(one => !one.IsIn));
    }

    public async ValueTask DisposeAsync()
    {
        if (coming.IsCompleted)
            return;
        await stopping.CancelAsync();
        await coming;
        stopping.Dispose();
    }

    private async Task ComeAsync()
    {
        for (var number = 0; !stopping.IsCancellationRequested; number++)
        {
            var person = load.People[number % load.People.Count];
            var (at, began) = (load.Now, Stopwatch.GetTimestamp());
            using (var line = await Line.OpenAsync(load.Nodes[0], load.Handshakes, $"newcomer {number}", person.User, person.Token, new Dictionary<Guid, long>(), load.Began, (_, _) => { }, Patience))
            {
                var isIn = line is not null && await line.CatchUpAsync(Patience);
                tries.Enqueue((at, Stopwatch.GetElapsedTime(began), isIn));
                if (line is not null)
                    await line.LeaveAsync();
            }

            await Task.Delay(Every, stopping.Token).ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }
}
