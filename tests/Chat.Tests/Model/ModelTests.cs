using System.Globalization;
using Chat.Backplane;
using Chat.Features;
using Chat.Invariants;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Model;

/// <summary>Two nodes of one installation, shared by all seeds.</summary>
public sealed class TwoNodes : IAsyncLifetime
{
    public IReadOnlyList<ChatApp> Nodes { get; private set; } = [];

    public async Task InitializeAsync()
    {
        var first = await ChatApp.Start();
        Nodes = [first, await first.StartNode()];
    }

    public async Task DisposeAsync()
    {
        foreach (var node in Nodes.Reverse())
            await node.DisposeAsync();
    }
}

/// <summary>
/// Four users on two nodes randomly and concurrently connect, disconnect, abort, send, retry, read and block; at the end every
/// invariant must hold. CHAT_TEST_SEED runs a single seed, CHAT_TEST_SEEDS adds this many seeds.
/// </summary>
public sealed class ModelTests(TwoNodes two) : IClassFixture<TwoNodes>
{
    private const int MinSteps = 60;
    private const int MaxSteps = 150;

    public static TheoryData<int> Seeds => Environment.GetEnvironmentVariable("CHAT_TEST_SEED") is { } seed
        ? [int.Parse(seed, CultureInfo.InvariantCulture)]
        : [.. Enumerable.Range(
            1, 4 + int.Parse(Environment.GetEnvironmentVariable("CHAT_TEST_SEEDS") ?? "0", CultureInfo.InvariantCulture))];

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Random_user_actions_keep_all_invariants(int seed)
    {
        var random = new Random(seed);
        var recorder = new Recorder(two.Nodes);
        TestUser[] users = [.. Enumerable.Range(0, 4).Select(_ => ChatApp.NewUser())];
        foreach (var (one, other) in ((int, int)[])[(0, 1), (0, 2), (1, 2), (2, 3), (3, 0)])
            recorder.Conversations.Add(
                new Invariants.Conversation(await two.Nodes[0].OpenDirect(users[one], users[other]), [users[one].Id, users[other].Id]));
        SimulatedUser[] simulated = [.. users.Select(user => new SimulatedUser(user, recorder, new Random(random.Next()),
            [.. users.Where(other => other != user
                && recorder.Conversations.Any(known => known.Members.Contains(user.Id) && known.Members.Contains(other.Id)))]))];

        try
        {
            var steps = simulated.Select(_ => random.Next(MinSteps, MaxSteps + 1)).ToArray();
            await Task.WhenAll(simulated.Select((person, i) => Task.Run(() => person.Run(steps[i]))));
            foreach (var device in simulated.SelectMany(person => person.Open))
                await device.Client.Settle();
            await AllInvariantsHold(seed, recorder, users, isOver: false);
        }
        finally
        {
            // Also after a failure, because the next seed runs on the same nodes.
            foreach (var person in simulated)
                await person.CloseAll();
        }

        await AllInvariantsHold(seed, recorder, users, isOver: true);
    }

    // Eventually: delivery between nodes and presence are asynchronous.
    private Task AllInvariantsHold(int seed, Recorder recorder, IReadOnlyList<TestUser> users, bool isOver) => Eventually.UntilNoError(
        async () =>
        {
            var views = new List<View>();
            foreach (var user in users)
            {
                for (var node = 0; node < recorder.Nodes; node++)
                    views.Add(await recorder.Read(user, node));
            }

            var history = recorder.ToHistory(views, isOver ? await ReadResidues(users) : []);
            string[] violations = [.. recorder.Anomalies, .. Invariant.FindViolations(history).Select(violation => violation.ToString())];
            return violations.Length == 0
                ? null
                : $"CHAT_TEST_SEED={seed} {(isOver ? "after all have disconnected" : "at the end")}: {violations.Length} violations\n"
                    + string.Join('\n', violations.Take(40));
        });

    private async Task<IReadOnlyList<Residue>> ReadResidues(IReadOnlyList<TestUser> users)
    {
        var residues = new List<Residue>();
        foreach (var node in two.Nodes)
        {
            var redis = node.Services.GetRequiredService<RedisConnection>();
            var leases = await redis.Database.SortedSetLengthAsync(redis.Keys.Leases);
            foreach (var user in users)
                leases += await redis.Database.SortedSetLengthAsync(redis.Keys.Online(user.Id));
            residues.Add(new Residue(
                $"node {two.Nodes.ToList().IndexOf(node)}",
                node.Services.GetRequiredService<Hub>().Count,
                node.Services.GetRequiredService<Delivery>().Feeds.Count(),
                node.Services.GetRequiredService<RedisBackplane>().Subscriptions,
                (int)leases));
        }

        return residues;
    }
}
