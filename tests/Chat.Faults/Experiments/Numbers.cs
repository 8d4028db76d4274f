using System.Text.Json;
using Chat.Invariants;

namespace Chat.Faults;

/// <summary>Duplicates and sequence numbers in every constellation; nothing is broken here except the clients' luck.</summary>
internal static class Numbers
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(8);

    /// <summary>Sends the same message twice within ten milliseconds on two nodes, and over REST on a third.</summary>
    public static async Task DuplicateSendsAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan());
        await using var load = await run.TalkAsync(cluster);
        var different = 0;
        for (var round = 0; round < run.Sized(60, 500); round++)
        {
            var pair = load.Devices.GroupBy(device => device.Person).ElementAt(run.Random.Next(load.People.Count)).ToArray();
            var (content, tempId) = ($"twice {round}", $"twin-{round}");
            var answers = await Task.WhenAll(
                pair[0].TryAsync(content, tempId, overRest: false),
                LaterAsync(() => pair[1].TryAsync(content, tempId, overRest: false)),
                LaterAsync(() => pair[1].TryAsync(content, tempId, overRest: true)));
            different += answers.Select(answer => answer?.Acked?.Id).Distinct().Count() == 1 ? 0 : 1;
        }

        run.Expect(different == 0, $"{different} sends got different answers at once");
        await run.JudgeAsync(cluster, load);

        async Task<T> LaterAsync<T>(Func<Task<T>> what)
        {
            await Task.Delay(run.Random.Next(10));
            return await what();
        }
    }

    /// <summary>Syncs on a node that the device has never used, with valid and invalid sequence numbers.</summary>
    public static async Task SyncAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan());
        await using var load = await run.TalkAsync(cluster);
        await run.GoOnAsync(2, 5);
        await load.QuiesceAsync(Timeout);
        var (person, stranger) = (load.People[0], load.People[2]);
        var conversation = person.Conversation.Id;
        foreach (var node in load.Nodes)
        {
            var seq = (await load.GetAsync(person, node, $"/chat/conversations/{conversation}")).GetProperty("seq").GetInt64();
            await Expect(node, "nothing seen", $"{{}}", "sync.done", seq);
            await Expect(node, "all seen", Seen(conversation, $"{seq}"), "sync.done", 0);
            await Expect(node, "stale", Seen(conversation, $"{seq / 2}"), "sync.done", seq - (seq / 2));
            await Expect(node, "from the future", Seen(conversation, $"{seq + 1000}"), "sync.done", 0);
            await Expect(node, "huge", Seen(conversation, $"{long.MaxValue}"), "sync.done", 0);
            await Expect(node, "negative", Seen(conversation, "-1"), "VALIDATION_ERROR", 0);
            await Expect(node, "beyond all numbers", Seen(conversation, "1e300"), "VALIDATION_ERROR", 0);
            await Expect(node, "not whole", Seen(conversation, "1.5"), "VALIDATION_ERROR", 0);
            await Expect(node, "somebody else's", Seen(stranger.Conversation.Id, "0"), "sync.done", seq);
            await Expect(node, "nobody's", Seen(Guid.NewGuid(), "7"), "sync.done", seq);
        }

        await run.JudgeAsync(cluster, load);

        async Task Expect(ChatNode node, string what, string conversations, string end, long messages)
        {
            using var socket = await ClientSocket.OpenAsync(
                node, load.Handshakes, what, person.User, person.Token, new Dictionary<Guid, long>(), load.Began, (_, _) => { }, Timeout)
                ?? throw new InvalidOperationException($"{node.Name} takes no connection.");
            var (found, last) = (0, "nothing");
            for (var seen = conversations; ;)
            {
                var parts = await socket.CollectAsync("sync", JsonDocument.Parse($$"""{"conversations":{{seen}}}""").RootElement,
                    frame => frame.Type != "sync.conversation", Timeout);
                var all = parts.Where(part => part.Type == "sync.conversation").ToArray();
                found += all.Sum(part => part.Payload.GetProperty("messages").GetArrayLength());
                last = parts is [.., { } final]
                    ? final.Type == "error" ? final.Payload.GetProperty("code").GetString()! : final.Type : "nothing";
                run.Expect(!all.SelectMany(part => part.Payload.GetProperty("messages").EnumerateArray()).Select(Message.Read)
                    .Any(message => message.ConversationId != conversation), $"sync ({what}) showed what is somebody else's");
                if (!all.Any(part => part.Payload.GetProperty("hasMore").GetBoolean()))
                    break;
                seen = Seen(conversation,
                    $"{all[^1].Payload.GetProperty("messages").EnumerateArray().Last().GetProperty("changedSeq").GetInt64()}");
            }

            run.Expect(
                last == end && found == messages, $"sync ({what}, {node.Name}) gave {found} messages and {last}, not {messages} and {end}");
            await socket.LeaveAsync();
        }
    }

    /// <summary>One node's clock is an hour ahead and another's an hour behind, then a second each.</summary>
    public static async Task ClockAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan { HasFailpoints = true });
        await using var load = await run.TalkAsync(cluster, new Crowd(8, 3, run.Sized(60, 300)));
        await run.GoOnAsync(1, 3);
        foreach (var offset in run.Sized<TimeSpan[]>([TimeSpan.FromHours(1)], [TimeSpan.FromHours(1), TimeSpan.FromSeconds(1)]))
        {
            cluster.Nodes[1].Special["Failpoints__ClockOffset"] = $"{offset}";
            cluster.Nodes[2].Special["Failpoints__ClockOffset"] = $"-{offset}";
            foreach (var node in cluster.Nodes.Skip(1))
            {
                await node.TerminateAsync();
                await node.StartAsync();
            }

            run.Heal(load);
            // Longer than the renewal interval of a lease; in the full size longer than a lease.
            await run.GoOnAsync(13, 45);
        }

        await run.JudgeAsync(cluster, load);
        run.Expect(
            load.Closes.Keys.All(code => code is 1012 or 1006), $"a wrong clock closed connections: {string.Join(", ", load.Closes)}");
    }

    private static string Seen(Guid conversation, string number) => $$"""{"{{conversation}}":{{number}}}""";
}
