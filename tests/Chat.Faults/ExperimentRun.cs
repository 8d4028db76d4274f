using System.Diagnostics;
using System.Globalization;
using Chat.Invariants;

namespace Chat.Faults;

/// <summary>A run of an experiment: what it may use, and what it has found.</summary>
internal sealed class ExperimentRun(TestEnvironment environment, Options options)
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(40);
    private readonly List<string> findings = [];
    private readonly Dictionary<string, string> notes = [];
    private readonly List<(TimeSpan From, TimeSpan To)> faults = [];
    private TimeSpan? broken;
    private TimeSpan? healed;

    public TestEnvironment Environment => environment;

    public Options Options => options;

    public bool IsShort => options.IsShort;

    public int Seed => options.Seed;

    public Random Random { get; } = new(options.Seed);

    public IReadOnlyList<string> Findings => findings;

    public IReadOnlyDictionary<string, string> Notes => notes;

    public Figures Figures { get; private set; } = new();

    /// <summary>Selects a size or duration: that of the short run or that of the full one.</summary>
    public T Sized<T>(T small, T full) => IsShort ? small : full;

    public Task<Cluster> StartAsync(Plan plan) => environment.StartAsync(plan);

    /// <summary>The usual load: what a short run on a small machine bears, or what the machine can do.</summary>
    public Task<Load> TalkAsync(Cluster cluster, Crowd? crowd = null) =>
        Load.StartAsync(cluster, crowd ?? Sized(new Crowd(16, 2, 150), new Crowd(60, 2, 700)), Seed);

    /// <summary>Keeps the load running for a while.</summary>
    public Task GoOnAsync(double small, double full) => Task.Delay(TimeSpan.FromSeconds(Sized(small, full)));

    /// <summary>
    /// Begins a fault after which some devices cannot be reached: until <see cref="Heal"/> nothing counts as late.
    /// </summary>
    public void Break(Load load) => broken = load.Now;

    /// <summary>Ends the fault.</summary>
    public void Heal(Load load)
    {
        healed = load.Now;
        if (broken is { } since)
            faults.Add((since, load.Now));
        broken = null;
    }

    public void Note(string name, TimeSpan time) => Note(name, string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.00} s"));

    public void Note(string name, string what) => notes[name] = what;

    /// <summary>Asserts a condition in addition to the invariants.</summary>
    public void Expect(bool holds, string otherwise)
    {
        if (!holds)
            findings.Add(otherwise);
    }

    /// <summary>Asserts what a watcher must observe under every fault that leaves the nodes alive.</summary>
    public void ExpectCalm(Watcher watcher, Load load)
    {
        Note("slowest ping", watcher.SlowestPing);
        Note("threads", string.Create(CultureInfo.InvariantCulture, $"+{watcher.MoreThreads}"));
        Note("memory", string.Create(CultureInfo.InvariantCulture, $"+{watcher.MoreMegabytes} MB"));
        Expect(load.Closes.Count == 0,
            $"sockets did not stay: {string.Join(", ", load.Closes.Select(close => $"{close.Value} closed with {close.Key}"))}");
        Expect(watcher.SlowestPing < TimeSpan.FromSeconds(5), $"a ping took {watcher.SlowestPing.TotalSeconds:0.0} s");
        Expect(watcher.Dead == 0, $"/health/live failed {watcher.Dead} times");
        Expect(watcher.MoreThreads < 60, $"a node got {watcher.MoreThreads} more threads");
        Expect(watcher.MoreMegabytes < 250, $"a node got {watcher.MoreMegabytes} MB more");
    }

    /// <summary>Asserts that the nodes reported this check as failed.</summary>
    public void ExpectUnready(Watcher watcher, string what)
    {
        Expect(watcher.Unready.Values.Any(said => said.Contains($"\"{what}\":\"", StringComparison.Ordinal)
            && !said.Contains($"\"{what}\":\"ok\"", StringComparison.Ordinal)), $"no node's readiness said that {what} was missing");
    }

    /// <summary>
    /// Quiesces the load, waits until everything has settled, and checks the record against all invariants; then disconnects all
    /// users and checks what is left.
    /// </summary>
    /// <param name="cluster">The installation.</param>
    /// <param name="load">The load.</param>
    /// <param name="watcher">The watcher, which is stopped first.</param>
    /// <param name="recoversWithin">How soon after the fault replies must be received again.</param>
    /// <param name="presenceSettlesWithin">How long presence may take to be correct.</param>
    /// <param name="whenLeft">Closes connections of the experiment itself, after all users have left.</param>
    public async Task JudgeAsync(
        Cluster cluster, Load load, Watcher? watcher = null, TimeSpan? recoversWithin = null, TimeSpan? presenceSettlesWithin = null,
        Action? whenLeft = null)
    {
        await load.QuiesceAsync(Timeout);
        if (watcher is not null)
            await watcher.DisposeAsync();
        await Wait.HoldsAsync(TimeSpan.FromSeconds(20), () => HoldEverythingAsync(load));
        var began = Stopwatch.GetTimestamp();
        History history;
        IReadOnlyList<Violation> broken;
        do
        {
            history = load.Told(await ViewsAsync(load), []);
            broken = Invariant.FindViolations(history);
        }
        while (broken.Count > 0 && Stopwatch.GetElapsedTime(began) < (presenceSettlesWithin ?? TimeSpan.FromSeconds(15)));
        findings.AddRange(broken.Select(violation => violation.ToString()));
        findings.AddRange(load.Odd);
        Figures += Figures.Of(load, history, healed, faults);
        if (load.Closes.Count > 0)
            Note("closes", string.Join(" ", load.Closes.OrderBy(close => close.Key).Select(close => $"{close.Key}×{close.Value}")));
        if (recoversWithin is { } limit)
            Expect(Figures.RecoverySeconds <= limit.TotalSeconds,
                $"answers came again after {Figures.RecoverySeconds:0.0} s, not within {limit.TotalSeconds:0} s");

        await load.LeaveAsync();
        whenLeft?.Invoke();
        Residue left = new("", 0, 0, 0, 0);
        await Wait.HoldsAsync(presenceSettlesWithin ?? TimeSpan.FromSeconds(15),
            async () => (left = await LeftoversAsync(cluster)) is { Connections: 0, Feeds: 0, Subscriptions: 0, Leases: 0 });
        findings.AddRange(Invariant.FindViolations(history with { Residues = [left] }).Where(violation => violation.Invariant == "I14")
            .Select(violation => violation.ToString()));
    }

    private static async Task<bool> HoldEverythingAsync(Load load)
    {
        var numbers = new Dictionary<Guid, long>();
        foreach (var person in load.People.DistinctBy(person => person.Conversation.Id))
            numbers[person.Conversation.Id] =
                (await load.GetAsync(person, load.Nodes[0], $"/chat/conversations/{person.Conversation.Id}")).GetProperty("seq").GetInt64();
        return load.Devices.TrueForAll(device => device.Current is not null && device.HeldUpTo == numbers[device.Person.Conversation.Id]);
    }

    private static async Task<IReadOnlyList<View>> ViewsAsync(Load load)
    {
        var views = new List<View>();
        var wanted = load.People.SelectMany(person => Enumerable.Range(0, load.Nodes.Count), (person, node) => (person, node));
        await Parallel.ForEachAsync(wanted, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (one, _) =>
        {
            var view = await load.ReadAsync(one.person, one.node);
            lock (views)
                views.Add(view);
        });
        return views;
    }

    private static async Task<Residue> LeftoversAsync(Cluster cluster)
    {
        var (subscriptions, leases) = await cluster.Redis.AskAsync(async redis => (
            ((StackExchange.Redis.RedisResult[])(await redis.ExecuteAsync("PUBSUB", "CHANNELS", $"{Cluster.Prefix}chat:user:*"))!).Length,
            await redis.SortedSetLengthAsync($"{Cluster.Prefix}leases")));
        var feeds = await Task.WhenAll(cluster.Nodes.Select(node => node.MetricAsync("chat_delivery_feeds")));
        return new Residue("all nodes", cluster.Nodes.Sum(Cluster.ConnectionsTo), feeds.Sum(), subscriptions, (int)leases);
    }
}
