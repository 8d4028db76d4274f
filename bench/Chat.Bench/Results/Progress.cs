using System.Diagnostics;
using Chat.Bench.Load;

namespace Chat.Bench.Results;

/// <summary>Tells on standard error what is going on, once a second on a terminal, else every ten seconds.</summary>
internal sealed class Progress
{
    private static readonly TimeSpan Interval = Console.IsErrorRedirected ? TimeSpan.FromSeconds(10) : TimeSpan.FromSeconds(1);
    private readonly long began = Stopwatch.GetTimestamp();
    private Func<string> state = () => "";
    private string what = "";

    /// <summary>Something else has begun.</summary>
    public void SetPhase(string doing, Func<string>? detail = null)
    {
        (what, state) = (doing, detail ?? (() => ""));
        Print();
    }

    /// <summary>From here on the loop keeps telling.</summary>
    public void PrintPeriodically(EventLoop loop) => loop.Schedule(EventLoop.Now + EventLoop.ToTicks(Interval), _ =>
    {
        Print();
        PrintPeriodically(loop);
    });

    /// <summary>Something worth knowing, once.</summary>
    public void Log(string text) => Console.Error.WriteLine($"[{Stopwatch.GetElapsedTime(began).TotalSeconds,5:0} s] {text}");

    private void Print() => Log($"{what} {state()}");
}
