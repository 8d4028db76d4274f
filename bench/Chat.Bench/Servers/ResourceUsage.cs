using System.Globalization;

namespace Chat.Bench.Servers;

/// <summary>The CPU time of each component since it started, in seconds, and its memory in bytes.</summary>
internal sealed record ResourceUsage(
    double Server, double Postgres, double Redis, double Generator, long ServerBytes, long PostgresBytes, long RedisBytes)
{
    /// <summary>_SC_CLK_TCK, which is 100 on every Linux platform of .NET.</summary>
    private const double TicksPerSecond = 100;

    /// <summary>Reads /proc. Unknown components (process id 0) count as zero.</summary>
    public static ResourceUsage Measure(IReadOnlyCollection<int> servers, int postgres, int redis) => new(
        servers.Sum(id => ProcessSeconds(id)),
        postgres == 0 ? 0 : TreeSeconds(postgres),
        redis == 0 ? 0 : ProcessSeconds(redis),
        Environment.CpuUsage.TotalTime.TotalSeconds,
        servers.Sum(ResidentBytes),
        postgres == 0 ? 0 : Children(postgres).Append(postgres).Sum(ProportionalBytes),
        redis == 0 ? 0 : ResidentBytes(redis));

    /// <summary>Returns the usage since an earlier measurement as figures per 1,000 messages.</summary>
    public IEnumerable<Figure> Since(ResourceUsage before, TimeSpan elapsed, double messages)
    {
        var (server, postgres, redis) = (Server - before.Server, Postgres - before.Postgres, Redis - before.Redis);
        return
        [
            new("CPU server", PerThousand(server), "ms/1,000"),
            new("CPU PostgreSQL", PerThousand(postgres), "ms/1,000"),
            new("CPU Redis", PerThousand(redis), "ms/1,000"),
            new("CPU together", PerThousand(server + postgres + redis), "ms/1,000"),
            new("CPU load generator", PerThousand(Generator - before.Generator), "ms/1,000"),
            new("cores used by the load generator", (Generator - before.Generator) / elapsed.TotalSeconds, "cores"),
            new("cores used together", (server + postgres + redis + Generator - before.Generator) / elapsed.TotalSeconds, "cores"),
            new("memory server", ServerBytes / 1048576.0, "MiB"),
            new("memory PostgreSQL", PostgresBytes / 1048576.0, "MiB"),
            new("memory Redis", RedisBytes / 1048576.0, "MiB"),
        ];

        double PerThousand(double seconds) => messages == 0 ? double.NaN : seconds * 1_000_000 / messages;
    }

    /// <summary>Returns the resident memory of a process (VmRSS), in bytes.</summary>
    public static long ResidentBytes(int id) => Field($"/proc/{id}/status", "VmRSS:");

    // The postmaster's time includes that of its exited children.
    private static double TreeSeconds(int postmaster) =>
        ProcessSeconds(postmaster, includeExitedChildren: true) + Children(postmaster).Sum(id => ProcessSeconds(id));

    private static double ProcessSeconds(int id, bool includeExitedChildren = false)
    {
        try
        {
            // The process name, in parentheses, may contain spaces; the state after it is field 3.
            var stat = File.ReadAllText($"/proc/{id}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[11..(includeExitedChildren ? 15 : 13)].Sum(
                text => long.Parse(text, CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
        catch (IOException)
        {
            // The process exited in the meantime.
            return 0;
        }
    }

    private static IEnumerable<int> Children(int id) =>
        File.ReadAllText($"/proc/{id}/task/{id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(text => int.Parse(text, CultureInfo.InvariantCulture));

    // PostgreSQL's processes share memory: count the proportional set size of each.
    private static long ProportionalBytes(int id) => Field($"/proc/{id}/smaps_rollup", "Pss:");

    private static long Field(string file, string name)
    {
        try
        {
            var line = File.ReadLines(file).First(line => line.StartsWith(name, StringComparison.Ordinal));
            return long.Parse(line[name.Length..].Trim().Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }
}
