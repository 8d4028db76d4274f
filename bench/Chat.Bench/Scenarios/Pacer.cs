using Chat.Bench.Load;

namespace Chat.Bench.Scenarios;

/// <summary>Calls at a fixed rate.</summary>
internal static class Pacer
{
    /// <summary>Calls with the timestamp of each due time, including missed ones, until the callback returns false.</summary>
    public static void Run(EventLoop loop, long start, int perSecond, Func<long, bool> callback)
    {
        var done = 0L;
        var step = EventLoop.ToTicks(TimeSpan.FromSeconds(1)) / (double)perSecond;
        loop.Schedule(start, Next);

        void Next(long now)
        {
            long due;
            while ((due = start + (long)(done * step)) <= now)
            {
                if (!callback(due))
                    return;
                done++;
            }

            loop.Schedule(due, Next);
        }
    }
}
