using System.Diagnostics;
using Chat.Bench.Load;

namespace Chat.Bench.Results;

/// <summary>Reports progress on standard error, each second on a terminal, otherwise every ten seconds.</summary>
internal sealed class Progress
{
    private static readonly TimeSpan Interval = Console.IsErrorRedirected ? TimeSpan.FromSeconds(10) : TimeSpan.FromSeconds(1);
    private readonly long start = Stopwatch.GetTimestamp();
    private Func<string> state = () => "";
    private string phase = "";

    /// <summary>Sets the current phase, and prints it.</summary>
    public void SetPhase(string name, Func<string>? detail = null)
    {
        (phase, state) = (name, detail ?? (() => ""));
        Print();
    }

    /// <summary>Prints the phase periodically while the loop runs.</summary>
    public void PrintPeriodically(EventLoop loop) => loop.Schedule(EventLoop.Now + EventLoop.ToTicks(Interval), _ =>
    {
        Print();
        PrintPeriodically(loop);
    });

    /// <summary>Prints a message.</summary>
    public void Log(string text) => Console.Error.WriteLine($"[{Stopwatch.GetElapsedTime(start).TotalSeconds,5:0} s] {text}");

    private void Print() => Log($"{phase} {state()}");
}
