using System.Globalization;
using System.Reflection;
using Chat.Embedded;

namespace Chat.Faults;

/// <summary>The configuration of an installation.</summary>
internal sealed record Plan
{
    public int Nodes { get; init; } = 3;

    /// <summary>Settings of every node, in addition to the usual ones or instead of them.</summary>
    public Dictionary<string, string> Node { get; init; } = [];

    /// <summary>The limit of open files and sockets of a node; null for that of the bench.</summary>
    public int? Files { get; init; }

    public string[] Postgres { get; init; } = [];

    public string[] Redis { get; init; } = [];

    /// <summary>The size of a node's PostgreSQL connection pool.</summary>
    public int PoolSize { get; init; } = 40;

    /// <summary>Whether to run the Debug build of the server, which has failpoints.</summary>
    public bool HasFailpoints { get; init; }

    /// <summary>Another build of the server, which creates the schema <see cref="OwnSchema"/> itself.</summary>
    public string? Server { get; init; }

    /// <summary>The schema of <see cref="Server"/>, beside the one that all experiments start with.</summary>
    public const string OwnSchema = "own";

    /// <summary>The folder of PostgreSQL's write-ahead log, if outside the data folder; must be empty and owned by its account.</summary>
    public string? WalFolder { get; init; }
}

/// <summary>Creates installations. Everything is in one folder, which is removed at the end.</summary>
internal sealed class TestEnvironment(Reaper reaper, Ports ports, PostgresFiles files)
{
    private int made;

    public string Folder => reaper.Folder;

    public Reaper Reaper => reaper;

    public PostgresFiles Files => files;

    public Ports Ports => ports;

    /// <summary>The server that the bench was built with.</summary>
    public static string Release => typeof(EmbeddedServers).Assembly.Location;

    private static string Debug =>
        typeof(TestEnvironment).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().First(data => data.Key == "DebugServer").Value!;

    /// <summary>Creates the database that all experiments start with.</summary>
    public static async Task<TestEnvironment> OpenAsync(Reaper reaper, Ports ports)
    {
        var files = await PostgresFiles.CreateAsync(Path.Combine(reaper.Folder, "postgres"));
        var environment = new TestEnvironment(reaper, ports, files);
        await using var postgres = new PostgresServer(files, files.Open(), ports.Next(), environment.Log("template"), reaper);
        await postgres.StartAsync();
        await using var node = new ChatNode("db-apply", Release, ports.Next(),
            Cluster.Settings(PostgresServer.ConnectionTo(postgres.Port), "127.0.0.1:1"), environment.Log("db-apply"), reaper);
        await node.RunAsync("db-apply");
        await postgres.StopFastAsync();
        return environment;
    }

    /// <summary>Creates and starts an installation.</summary>
    public async Task<Cluster> StartAsync(Plan plan)
    {
        var name = $"{Interlocked.Increment(ref made)}";
        var data = await files.CopyAsync(name);
        if (plan.WalFolder is not null)
        {
            await files.RunAsync("sh", "-c",
                $"mv '{data}'/pg_wal/* '{plan.WalFolder}' && rmdir '{data}/pg_wal' && ln -s '{plan.WalFolder}' '{data}/pg_wal'");
        }

        var postgres = new PostgresServer(files, data, ports.Next(), Log($"{name}-postgres"), reaper);
        postgres.Settings.AddRange(plan.Postgres);
        var redis = new RedisServer(ports.Next(), Log($"{name}-redis"), reaper);
        redis.Settings.AddRange(plan.Redis);
        var toPostgres = Enumerable.Range(0, plan.Nodes).Select(_ => new FaultProxy(ports.Next(), postgres.Port)).ToArray();
        var toRedis = Enumerable.Range(0, plan.Nodes).Select(_ => new FaultProxy(ports.Next(), redis.Port)).ToArray();
        var nodes = Enumerable.Range(0, plan.Nodes).Select(i => new ChatNode(
            $"node {i}",
            plan.Server ?? (plan.HasFailpoints ? Debug : Release),
            ports.Next(),
            Settings(i),
            Log($"{name}-node-{i}"),
            reaper,
            plan.Files)).ToArray();
        var cluster = new Cluster(nodes, postgres, redis, toPostgres, toRedis);
        try
        {
            await Task.WhenAll(postgres.StartAsync(), redis.StartAsync());
            if (plan.Server is not null)
                await nodes[0].RunAsync("db-apply");
            await Task.WhenAll(nodes.Select(node => node.StartAsync()));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }

        Dictionary<string, string> Settings(int node)
        {
            var redisAddress = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{toRedis[node].Port}");
            var settings = Cluster.Settings(
                PostgresServer.ConnectionTo(toPostgres[node].Port, plan.PoolSize), redisAddress, plan.HasFailpoints, ports.Next());
            foreach (var (key, value) in plan.Node)
                settings[key] = value;
            if (plan.Server is not null)
                settings["Storage__Schema"] = Plan.OwnSchema;
            return settings;
        }
    }

    public string Log(string name)
    {
        var logs = Directory.CreateDirectory(Path.Combine(reaper.Folder, "logs"));
        return Path.Combine(logs.FullName, $"{name}.log");
    }
}
