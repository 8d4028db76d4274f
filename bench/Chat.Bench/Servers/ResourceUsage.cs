using System.Globalization;

namespace Chat.Bench.Servers;

/// <summary>Processor time in seconds that each part has used since it started, and the memory that it holds.</summary>
internal sealed record ResourceUsage(double Server, double Postgres, double Redis, double Generator, long ServerBytes, long PostgresBytes, long RedisBytes)
{
    /// <summary>_SC_CLK_TCK; 100 on every Linux that .NET runs on.</summary>
    private const double TicksPerSecond = 100;

    /// <summary>Reads /proc. Parts that are not known (0) have used nothing.</summary>
    public static ResourceUsage Measure(IReadOnlyCollection<int> servers, int postgres, int redis) => new(
        servers.Sum(id => OwnSeconds(id)),
        postgres == 0 ? 0 : FamilySeconds(postgres),
        redis == 0 ? 0 : OwnSeconds(redis),
        Environment.CpuUsage.TotalTime.TotalSeconds,
        servers.Sum(ResidentBytes),
        postgres == 0 ? 0 : Children(postgres).Append(postgres).Sum(ProportionalBytes),
        redis == 0 ? 0 : ResidentBytes(redis));

    /// <summary>What was used between two looks, as figures for so many messages.</summary>
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

    /// <summary>VmRSS.</summary>
    public static long ResidentBytes(int id) => Field($"/proc/{id}/status", "VmRSS:");

    // A backend that has ended is in the postmaster's count of its children.
    private static double FamilySeconds(int postmaster) =>
        OwnSeconds(postmaster, withEndedChildren: true) + Children(postmaster).Sum(id => OwnSeconds(id));

    private static double OwnSeconds(int id, bool withEndedChildren = false)
    {
        try
        {
            // The name, in brackets, may hold blanks; behind it the state is field 3.
            var stat = File.ReadAllText($"/proc/{id}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[11..(withEndedChildren ? 15 : 13)].Sum(text => long.Parse(text, CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
        catch (IOException)
        {
            // Ended since it was listed.
            return 0;
        }
    }

    private static IEnumerable<int> Children(int id) =>
        File.ReadAllText($"/proc/{id}/task/{id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(text => int.Parse(text, CultureInfo.InvariantCulture));

    // Backends share their buffers: each gets its share of what is shared.
    private static long ProportionalBytes(int id) => Field($"/proc/{id}/smaps_rollup", "Pss:");

    private static long Field(string file, string name)
    {
        try
        {
            var line = File.ReadLines(file).First(line => line.StartsWith(name, StringComparison.Ordinal));
            return long.Parse(line[name.Length..].Trim().Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }
}
