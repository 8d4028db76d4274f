using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Chat.Bench.Load;

/// <summary>Handles the readiness of a socket.</summary>
internal interface ISocketHandler
{
    /// <summary>The socket is readable or writable.</summary>
    void OnReady(int events);
}

/// <summary>
/// Runs all sockets and timers of the load generator on one thread, with epoll. Times are <see cref="Stopwatch"/> ticks.
/// </summary>
internal sealed class EventLoop : IDisposable
{
    private const int MaxEvents = 256;
    private const int Add = 1;
    private const int Remove = 2;
    private const int Change = 3;

    // The size of epoll_event in 32-bit words: the event mask, then the user data. It is packed on x64 only.
    private static readonly int Words = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 3 : 4;
    private static readonly int DataWord = Words - 2;

    private readonly int epoll = Native.CreateEpoll(0);
    private readonly int[] eventBuffer = new int[MaxEvents * Words];
    private readonly List<ISocketHandler> handlers = [];
    private readonly PriorityQueue<Action<long>, long> timers = new();

    /// <summary>The shared receive buffer: only one socket is read at a time.</summary>
    public byte[] Buffer { get; } = new byte[256 * 1024];

    public static long Now => Stopwatch.GetTimestamp();

    public static long ToTicks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    /// <summary>Registers a handler, and returns its number for <see cref="Watch"/>.</summary>
    public int Register(ISocketHandler handler)
    {
        handlers.Add(handler);
        return handlers.Count - 1;
    }

    public void Watch(int socket, int number, int events, bool isNew) => Control(isNew ? Add : Change, socket, number, events);

    public void Unwatch(int socket) => Control(Remove, socket, 0, 0);

    /// <summary>Schedules a callback for a timestamp; it receives the current time.</summary>
    public void Schedule(long when, Action<long> callback) => timers.Enqueue(callback, when);

    /// <summary>Runs the loop until the condition holds.</summary>
    /// <returns>False on timeout.</returns>
    public unsafe bool Run(Func<bool> until, TimeSpan timeout)
    {
        var deadline = Now + ToTicks(timeout);
        fixed (int* events = eventBuffer)
        {
            while (!until())
            {
                var now = Now;
                if (now >= deadline)
                    return false;
                while (timers.TryPeek(out var callback, out var when) && when <= now)
                {
                    timers.Dequeue();
                    callback(now);
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
        var remaining = Stopwatch.GetElapsedTime(Now, Math.Max(until, Now));
        var timeout =
            new Native.TimeSpec { Seconds = (long)remaining.TotalSeconds, Nanoseconds = remaining.Ticks % TimeSpan.TicksPerSecond * 100 };
        var count = Native.WaitForEpoll(epoll, events, MaxEvents, &timeout, 0);
        for (var i = 0; i < count; i++)
            handlers[events[(i * Words) + DataWord]].OnReady(events[i * Words]);
    }

    private unsafe void Control(int operation, int socket, int number, int events)
    {
        var poll = stackalloc int[4];
        (poll[0], poll[DataWord], poll[DataWord + 1]) = (events, number, 0);
        if (Native.ControlEpoll(epoll, operation, socket, poll) != 0)
            throw new Win32Exception(Marshal.GetLastPInvokeError());
    }
}
