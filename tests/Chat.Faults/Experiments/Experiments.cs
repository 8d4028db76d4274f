using System.Diagnostics;

namespace Chat.Faults;

/// <summary>One thing that can fail.</summary>
/// <param name="Name">As on the command line.</param>
/// <param name="What">What is done to whom.</param>
/// <param name="RunAsync">Does it, and judges.</param>
internal sealed record Experiment(string Name, string What, Func<Trial, Task> RunAsync);

/// <summary>An experiment cannot be made on this machine.</summary>
internal sealed class CannotException(string why) : Exception(why);

/// <summary>The table of contents.</summary>
internal static class Experiments
{
    private static readonly TimeSpan LongestRun = TimeSpan.FromMinutes(6);

    public static IReadOnlyList<Experiment> All { get; } =
    [
        new("node-killed", "one of three nodes is killed under load and started again", Nodes.KilledAsync),
        new("rolling-restart", "each of three nodes is stopped with SIGTERM and started again", Nodes.RollingRestartAsync),
    ];

    public static async Task<Outcome> RunAsync(Experiment experiment, Workshop workshop, Options options)
    {
        var trial = new Trial(workshop, options.IsShort, options.Seed);
        var began = Stopwatch.GetTimestamp();
        string? cannot = null;
        try
        {
            await experiment.RunAsync(trial).WaitAsync(LongestRun);
        }
        catch (CannotException why)
        {
            cannot = why.Message;
        }
#pragma warning disable CA1031 // Whatever it was: the other experiments are to be made.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            trial.Expect(false, $"the experiment did not get to its end: {failure}");
        }

        return new Outcome
        {
            Name = experiment.Name,
            Seed = options.Seed,
            Skipped = cannot,
            Findings = trial.Findings,
            Notes = trial.Notes,
            Figures = trial.Figures,
            Seconds = Stopwatch.GetElapsedTime(began).TotalSeconds,
        };
    }
}
