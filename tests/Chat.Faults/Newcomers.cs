using System.Collections.Concurrent;
using System.Diagnostics;

namespace Chat.Faults;

/// <summary>Users of a load who repeatedly sign in on one more device, fetch what exists, and disconnect.</summary>
internal sealed class Newcomers : IAsyncDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);

    private readonly ConcurrentQueue<(TimeSpan At, TimeSpan Took, bool IsIn)> tries = new();
    private readonly CancellationTokenSource stopping = new();
    private readonly Load load;
    private readonly Task coming;

    public Newcomers(Load load)
    {
        this.load = load;
        coming = Task.Run(ComeAsync);
    }

    /// <summary>Returns the slowest sign-in that began in an interval, and the numbers of all and of rejected ones.</summary>
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
            using (var socket = await ClientSocket.OpenAsync(load.Nodes[0], load.Handshakes, $"newcomer {number}", person.User,
                person.Token, new Dictionary<Guid, long>(), load.Began, (_, _) => { }, Timeout))
            {
                var isIn = socket is not null && await socket.SynchronizeAsync(Timeout);
                tries.Enqueue((at, Stopwatch.GetElapsedTime(began), isIn));
                if (socket is not null)
                    await socket.LeaveAsync();
            }

            await Task.Delay(Every, stopping.Token).ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }
}
