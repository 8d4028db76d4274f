using Chat.Bench.Floor;
using Chat.Bench.Scenarios;

namespace Chat.Bench;

/// <summary>The load generator; docs/performance.md says how to use it.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        try
        {
            if (arguments is [])
                throw new BenchException($"Which scenario? {string.Join(", ", Scenarios.Keys)}, compare");
            var options = new Options(arguments[1..]);
            if (arguments[0] == "floor-server")
                return await FloorServer.RunAsync(options);

            var machine = Machine.Look();
            var progress = new Progress();
            var reports = arguments[0] == "compare"
                ? await Compare.RunAsync(options, progress)
                : await RunAsync(arguments[0], options, progress);
            Console.WriteLine(machine);
            foreach (var report in reports)
                report.Print();
            if (options.Text("json") is { Length: > 0 } file)
                await Report.WriteAsync(file, machine, options.Given, reports);
            return reports.Any(report => report.Faults.Count > 0) ? 1 : 0;
        }
        catch (BenchException failure)
        {
            await Console.Error.WriteLineAsync(failure.Message);
            return 2;
        }
    }

    private static IReadOnlyDictionary<string, Func<Target, Options, Progress, Task<Report>>> Scenarios { get; } =
        new Dictionary<string, Func<Target, Options, Progress, Task<Report>>>
        {
            ["pairs"] = Pairs.RunAsync,
            ["paced"] = Paced.RunAsync,
        };

    private static async Task<IReadOnlyList<Report>> RunAsync(string name, Options options, Progress progress)
    {
        if (!Scenarios.TryGetValue(name, out var scenario))
            throw new BenchException($"There is no scenario {name}.");
        await using var target = await Target.OpenAsync(options, progress);
        return [await scenario(target, options, progress)];
    }
}
