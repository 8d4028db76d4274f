using System.Diagnostics;
using Chat.Bench.Load;

namespace Chat.Bench.Results;

/// <summary>Tells on standard error what is going on, once a second on a terminal, else every ten seconds.</summary>
internal sealed class Progress
{
    private static readonly TimeSpan Every = Console.IsErrorRedirected ? TimeSpan.FromSeconds(10) : TimeSpan.FromSeconds(1);
    private readonly long began = Stopwatch.GetTimestamp();
    private Func<string> state = () => "";
    private string what = "";

    /// <summary>Something else has begun.</summary>
    public void Say(string doing, Func<string>? detail = null)
    {
        (what, state) = (doing, detail ?? (() => ""));
        Tell();
    }

    /// <summary>From here on the loop keeps telling.</summary>
    public void Follow(EventLoop loop) => loop.At(EventLoop.Now + EventLoop.Ticks(Every), _ =>
    {
        Tell();
        Follow(loop);
    });

    /// <summary>Something worth knowing, once.</summary>
    public void Note(string text) => Console.Error.WriteLine($"[{Stopwatch.GetElapsedTime(began).TotalSeconds,5:0} s] {text}");

    private void Tell() => Note($"{what} {state()}");
}
