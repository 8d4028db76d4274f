using System.Net;

namespace Chat.Bench.Servers;

/// <summary>The measured server: one or several nodes of the chat or the floor server, started by the bench or externally.</summary>
internal sealed class Target : IAsyncDisposable
{
    private readonly List<ChildProcess> nodes = [];
    private readonly IPEndPoint[] endPoints;
    private readonly int postgresProcessId;
    private readonly int redisProcessId;
    private readonly BackingServices? owned;
    private ServerLauncher? launcher;
    private int[] processIds;

    private Target(string name, IReadOnlyList<Uri> urls, TokenIssuer tokens, BackingServices? services, BackingServices? owned,
        IReadOnlyList<ChildProcess> nodes, int[] processIds)
    {
        (Name, Urls, Tokens, Services, this.owned) = (name, urls, tokens, services, owned);
        this.nodes.AddRange(nodes);
        endPoints = [.. urls.Select(
            url => new IPEndPoint(Dns.GetHostAddresses(url.Host, System.Net.Sockets.AddressFamily.InterNetwork)[0], url.Port))];
        this.processIds = services is null
            ? processIds[..Math.Min(processIds.Length, urls.Count)] : [.. nodes.Select(node => node.Id)];
        postgresProcessId = services?.PostgresProcessId ?? processIds.ElementAtOrDefault(urls.Count);
        redisProcessId = services?.RedisProcessId ?? processIds.ElementAtOrDefault(urls.Count + 1);
    }

    /// <summary><c>chat</c> or <c>floor</c>.</summary>
    public string Name { get; }

    public bool IsFloor => Name == "floor";

    public IReadOnlyList<Uri> Urls { get; }

    public TokenIssuer Tokens { get; }

    /// <summary>The PostgreSQL and Redis of the server; null if it was started externally.</summary>
    public BackingServices? Services { get; }

    public bool IsLocal => endPoints.All(endPoint => IPAddress.IsLoopback(endPoint.Address));

    /// <summary>The process id of the first node; 0 if unknown.</summary>
    public int ServerProcessId => processIds.FirstOrDefault();

    public IPEndPoint EndPointOf(int index) => endPoints[index % endPoints.Length];

    public ResourceUsage MeasureUsage() => ResourceUsage.Measure(processIds, postgresProcessId, redisProcessId);

    /// <summary>Returns the external server of the options, or starts a server with its own PostgreSQL and Redis.</summary>
    public static async Task<Target> OpenAsync(Options options, Progress progress)
    {
        if (options.Text("url") is { Length: > 0 } list)
        {
            Uri[] urls = [.. list.Split(',').Select(url => new Uri(url.Replace("ws://", "http://", StringComparison.Ordinal)))];
            var tokens = new TokenIssuer(options.Text("key") ?? "", options.Text("issuer") ?? "", options.Text("audience") ?? "",
                options.Has("dev") ? urls[0] : null);
            return new Target(options.Text("server") ?? "chat", urls, tokens, null, null, [], [.. options.Numbers("pids")]);
        }

        var services = await BackingServices.StartAsync(options, progress);
        try
        {
            return await StartAsync(options, progress, services, owned: services);
        }
        catch
        {
            await services.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a server on running backing services.</summary>
    public static Task<Target> StartAsync(Options options, Progress progress, BackingServices services) =>
        StartAsync(options, progress, services, owned: null);

    /// <summary>Restarts every node at its address.</summary>
    /// <param name="asCrash">Whether to kill the nodes instead of stopping them gracefully.</param>
    public async Task RestartAsync(bool asCrash)
    {
        if (launcher is null)
            throw new BenchException("Only a server started by the bench can be restarted.");
        for (var i = 0; i < nodes.Count; i++)
        {
            if (asCrash)
                nodes[i].Kill();
            await nodes[i].DisposeAsync();
            (_, nodes[i], _) = await launcher.StartAsync(Urls[i]);
        }

        processIds = [.. nodes.Select(node => node.Id)];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in nodes)
            await node.DisposeAsync();
        if (owned is not null)
            await owned.DisposeAsync();
    }

    private static async Task<Target> StartAsync(Options options, Progress progress, BackingServices services, BackingServices? owned)
    {
        var name = options.Text("server") ?? "chat";
        progress.SetPhase($"starting {name}");
        var launcher = ServerLauncher.For(options, services);
        await launcher.ApplySchemaAsync();
        var (urls, nodes) = (new List<Uri>(), new List<ChildProcess>());
        try
        {
            for (var i = 0; i < options.Number("nodes", 1); i++)
            {
                var (url, node, _) = await launcher.StartAsync();
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

        return new Target(name, urls, services.Tokens, services, owned, nodes, []) { launcher = launcher };
    }
}
