using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Chat.Bench.Load;

/// <summary>Something that waits for a socket.</summary>
internal interface ISocketHandler
{
    /// <summary>Something may be read or written.</summary>
    void OnReady(int events);
}

/// <summary>
/// One thread for all sockets and timers of the load generator. Times are ticks of <see cref="Stopwatch"/>.
/// </summary>
internal sealed class EventLoop : IDisposable
{
    private const int MaxEvents = 256;
    private const int Add = 1;
    private const int Remove = 2;
    private const int Change = 3;

    // The system's struct of an event, in words: what happened, and then ours. Only x64 packs it.
    private static readonly int Words = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 3 : 4;
    private static readonly int OwnWord = Words - 2;

    private readonly int epoll = Native.CreateEpoll(0);
    private readonly int[] polls = new int[MaxEvents * Words];
    private readonly List<ISocketHandler> watched = [];
    private readonly PriorityQueue<Action<long>, long> timers = new();

    /// <summary>What everybody reads into: only one socket is read at a time.</summary>
    public byte[] Buffer { get; } = new byte[256 * 1024];

    public static long Now => Stopwatch.GetTimestamp();

    public static long ToTicks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    /// <summary>A number under which <see cref="Watch"/> knows it.</summary>
    public int Register(ISocketHandler one)
    {
        watched.Add(one);
        return watched.Count - 1;
    }

    public void Watch(int socket, int number, int events, bool isNew) => Control(isNew ? Add : Change, socket, number, events);

    public void Unwatch(int socket) => Control(Remove, socket, 0, 0);

    /// <summary>Calls once it is so late, with the time that it then is.</summary>
    public void Schedule(long when, Action<long> call) => timers.Enqueue(call, when);

    /// <summary>Runs until it holds.</summary>
    /// <returns>False if it took too long.</returns>
    public unsafe bool Run(Func<bool> until, TimeSpan patience)
    {
        var deadline = Now + ToTicks(patience);
        fixed (int* events = polls)
        {
            while (!until())
            {
                var now = Now;
                if (now >= deadline)
                    return false;
                while (timers.TryPeek(out var call, out var when) && when <= now)
                {
                    timers.Dequeue();
                    call(now);
                }

                Wait(events, deadline);
            }
        }

        return true;
    }

    public void Dispose() => _ = Native.Close(epoll);

    private unsafe void Wait(int* events, long deadline)
    {
        var until = timers.TryPeek(out _, out var when) ? Math.Min(when, deadline) : deadline;
        var rest = Stopwatch.GetElapsedTime(Now, Math.Max(until, Now));
        var timeout = new Native.TimeSpec { Seconds = (long)rest.TotalSeconds, Nanoseconds = rest.Ticks % TimeSpan.TicksPerSecond * 100 };
        var count = Native.WaitForEpoll(epoll, events, MaxEvents, &timeout, 0);
        for (var i = 0; i < count; i++)
            watched[events[(i * Words) + OwnWord]].OnReady(events[i * Words]);
    }

    private unsafe void Control(int operation, int socket, int number, int events)
    {
        var poll = stackalloc int[4];
        (poll[0], poll[OwnWord], poll[OwnWord + 1]) = (events, number, 0);
        if (Native.ControlEpoll(epoll, operation, socket, poll) != 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
    }
}
