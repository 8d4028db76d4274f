using System.Net;

namespace Chat.Bench.Servers;

/// <summary>What is measured: one server or several equal nodes, ours or the floor, the bench's own or somebody else's.</summary>
internal sealed class Target : IAsyncDisposable
{
    private readonly List<ChildProcess> nodes = [];
    private readonly IPEndPoint[] ends;
    private readonly int postgresId;
    private readonly int redisId;
    private readonly BackingServices? owned;
    private ServerLauncher? launch;
    private int[] ids;

    private Target(string name, IReadOnlyList<Uri> urls, TokenIssuer tokens, BackingServices? backends, BackingServices? owned, IReadOnlyList<ChildProcess> nodes, int[] ids)
    {
        (Name, Urls, Tokens, Services, this.owned) = (name, urls, tokens, backends, owned);
        this.nodes.AddRange(nodes);
        ends = [.. urls.Select(url => new IPEndPoint(Dns.GetHostAddresses(url.Host, System.Net.Sockets.AddressFamily.InterNetwork)[0], url.Port))];
        this.ids = backends is null ? ids[..Math.Min(ids.Length, urls.Count)] : [.. nodes.Select(node => node.Id)];
        postgresId = backends?.PostgresProcessId ?? ids.ElementAtOrDefault(urls.Count);
        redisId = backends?.RedisProcessId ?? ids.ElementAtOrDefault(urls.Count + 1);
    }

    /// <summary><c>chat</c> or <c>floor</c>.</summary>
    public string Name { get; }

    public bool IsFloor => Name == "floor";

    public IReadOnlyList<Uri> Urls { get; }

    public TokenIssuer Tokens { get; }

    /// <summary>Where its data are, if they are ours to look at.</summary>
    public BackingServices? Services { get; }

    public bool IsLocal => ends.All(end => IPAddress.IsLoopback(end.Address));

    /// <summary>The first server's process; 0 if it is not known.</summary>
    public int ServerProcessId => ids.FirstOrDefault();

    public IPEndPoint EndPointOf(int index) => ends[index % ends.Length];

    public ResourceUsage MeasureUsage() => ResourceUsage.Measure(ids, postgresId, redisId);

    /// <summary>The server that the options name; else one that is started for this run, on backends started for it.</summary>
    public static async Task<Target> OpenAsync(Options options, Progress progress)
    {
        if (options.Text("url") is { Length: > 0 } given)
        {
            Uri[] urls = [.. given.Split(',').Select(url => new Uri(url.Replace("ws://", "http://", StringComparison.Ordinal)))];
            var tokens = new TokenIssuer(options.Text("key") ?? "", options.Text("issuer") ?? "", options.Text("audience") ?? "", options.Has("dev") ? urls[0] : null);
            return new Target(options.Text("server") ?? "chat", urls, tokens, null, null, [], [.. options.Numbers("pids")]);
        }

        var backends = await BackingServices.StartAsync(options, progress);
        try
        {
            return await StartAsync(options, progress, backends, owned: backends);
        }
        catch
        {
            await backends.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a server on backends that are there already.</summary>
    public static Task<Target> StartAsync(Options options, Progress progress, BackingServices backends) => StartAsync(options, progress, backends, owned: null);

    /// <summary>Starts every node anew, at its old address.</summary>
    /// <param name="asCrash">Give the old ones no chance to say good-bye.</param>
    public async Task RestartAsync(bool asCrash)
    {
        if (launch is null)
            throw new BenchException("Only a server of the bench's own can be started anew.");
        for (var i = 0; i < nodes.Count; i++)
        {
            if (asCrash)
                nodes[i].Kill();
            await nodes[i].DisposeAsync();
            (_, nodes[i], _) = await launch.StartAsync(Urls[i]);
        }

        ids = [.. nodes.Select(node => node.Id)];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in nodes)
            await node.DisposeAsync();
        if (owned is not null)
            await owned.DisposeAsync();
    }

    private static async Task<Target> StartAsync(Options options, Progress progress, BackingServices backends, BackingServices? owned)
    {
        var name = options.Text("server") ?? "chat";
        progress.SetPhase($"starting {name}");
        var launch = ServerLauncher.For(options, backends);
        await launch.ApplySchemaAsync();
        var (urls, nodes) = (new List<Uri>(), new List<ChildProcess>());
        try
        {
            for (var i = 0; i < options.Number("nodes", 1); i++)
            {
                var (url, node, _) = await launch.StartAsync();
                urls.Add(url);
                nodes.Add(node);
            }
        }
        catch
        {
            foreach (var node in nodes)
                await node.DisposeAsync();
            throw;
        }

        return new Target(name, urls, backends.Tokens, backends, owned, nodes, []) { launch = launch };
    }
}
