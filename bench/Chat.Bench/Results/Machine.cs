using System.Globalization;
using System.Runtime.InteropServices;

namespace Chat.Bench.Results;

/// <summary>The machine and the time of a measurement, which the figures depend on.</summary>
internal sealed record Machine(DateTimeOffset Date, string Cpu, int Cores, double MemoryGb, string System, string DotNet, double LoadBefore)
{
    public static Machine Detect() => new(
        DateTimeOffset.UtcNow,
        Value("/proc/cpuinfo", "model name"),
        Environment.ProcessorCount,
        Math.Round(double.Parse(Value("/proc/meminfo", "MemTotal").Split(' ')[0], CultureInfo.InvariantCulture) / 1024 / 1024, 1),
        RuntimeInformation.OSDescription,
        RuntimeInformation.FrameworkDescription,
        double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture));

    public override string ToString() =>
        $"{Date:yyyy-MM-dd HH:mm} UTC, {Cpu}, {Cores} cores, {MemoryGb} GB, {System}, {DotNet}, load before {LoadBefore}";

    private static string Value(string file, string name) =>
        File.ReadLines(file).First(line => line.StartsWith(name, StringComparison.Ordinal)).Split(':')[1].Trim();
}
