using Chat.Bench.Floor;
using Chat.Bench.Scenarios;

namespace Chat.Bench;

/// <summary>The load generator; see docs/performance.md for its usage.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        try
        {
            if (arguments is [])
                throw new BenchException($"Specify a scenario: {string.Join(", ", Scenarios.Keys.Concat(Sessions.Keys))}");
            var options = new Options(arguments[1..]);
            if (arguments[0] == "floor-server")
                return await FloorServer.RunAsync(options);

            var machine = Machine.Detect();
            var progress = new Progress();
            var reports = await RunAsync(arguments[0], options, progress);
            Console.WriteLine(machine);
            foreach (var report in reports)
                report.Print();
            if (options.Text("json") is { Length: > 0 } file)
                await Report.WriteAsync(file, machine, options.Values, reports);
            return reports.Any(report => report.Faults.Count > 0) ? 1 : 0;
        }
        catch (BenchException failure)
        {
            await Console.Error.WriteLineAsync(failure.Message);
            return 2;
        }
    }

    /// <summary>Scenarios that run against one server.</summary>
    private static IReadOnlyDictionary<string, Func<Target, Options, Progress, Task<Report>>> Scenarios { get; } =
        new Dictionary<string, Func<Target, Options, Progress, Task<Report>>>
        {
            ["pairs"] = Pairs.RunAsync,
            ["paced"] = Paced.RunAsync,
            ["idle"] = Idle.RunAsync,
            ["storm"] = Storm.RunAsync,
            ["crowd"] = Crowd.RunAsync,
            ["fanout"] = Fanout.RunAsync,
            ["history"] = History.RunAsync,
            ["seed"] = Seed.RunAsync,
        };

    /// <summary>Scenarios that start servers themselves.</summary>
    private static IReadOnlyDictionary<string, Func<Options, Progress, Task<IReadOnlyList<Report>>>> Sessions { get; } =
        new Dictionary<string, Func<Options, Progress, Task<IReadOnlyList<Report>>>>
        {
            ["compare"] = Compare.RunAsync,
            ["start"] = Start.RunAsync,
            ["growth"] = Growth.RunAsync,
        };

    private static async Task<IReadOnlyList<Report>> RunAsync(string name, Options options, Progress progress)
    {
        if (Sessions.TryGetValue(name, out var session))
            return await session(options, progress);
        if (!Scenarios.TryGetValue(name, out var scenario))
            throw new BenchException($"Unknown scenario {name}.");
        await using var target = await Target.OpenAsync(options, progress);
        return [await scenario(target, options, progress)];
    }
}
