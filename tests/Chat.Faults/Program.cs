using System.Diagnostics;
using System.Runtime.Versioning;
using Chat.Faults;

[assembly: SupportedOSPlatform("linux")]

// Runs real servers under faults and checks what clients observed against every invariant.
if (Options.Read(args) is not { } options)
{
    Console.Error.WriteLine(Options.Usage);
    return 2;
}

if (options.IsList)
{
    foreach (var experiment in Experiments.All)
        Console.WriteLine($"{experiment.Name,-26} {experiment.What}");
    return 0;
}

using var reaper = new Reaper();
var environment = await TestEnvironment.OpenAsync(reaper, new Ports(options.FirstPort));
Console.WriteLine($"seed {options.Seed}, {(options.IsShort ? "short" : "full")} sizes, {Environment.ProcessorCount} cores");
Outcome.Head();
var outcomes = new List<Outcome>();
await Parallel.ForEachAsync(options.Chosen, new ParallelOptions { MaxDegreeOfParallelism = options.AtOnce }, async (experiment, _) =>
{
    var outcome = await Experiments.RunAsync(experiment, environment, options);
    lock (outcomes)
    {
        outcome.Write();
        outcomes.Add(outcome);
    }
});

var total = outcomes.Aggregate(new Figures(), (sum, outcome) => sum + outcome.Figures);
if (options.JsonFile is not null)
    await Outcome.SaveAsync(options.JsonFile, total, outcomes);
var failed = outcomes.Count(outcome => !outcome.IsOk);
var skipped = outcomes.Count(outcome => outcome.Skipped is not null);
if (failed > 0 && options.LogFolder is not null)
    Process.Start("cp", ["-r", Path.Combine(reaper.Folder, "logs"), options.LogFolder]).WaitForExit();
Console.WriteLine(
    $"{total.Sent} sent, {total.Acknowledged} acknowledged, {total.Delivered} delivered, {total.Repeated} repeated, {total.Lost} lost, {total.Doubled} doubled");
Console.WriteLine($"{outcomes.Count - failed - skipped} passed, {failed} failed{(skipped > 0 ? $", {skipped} skipped" : "")}");
return failed == 0 ? 0 : 1;
