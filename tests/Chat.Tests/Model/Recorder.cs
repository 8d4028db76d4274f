using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Invariants;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Model;

/// <summary>Carries out requests against some nodes, and writes down what was asked and what came of it.</summary>
internal sealed class Recorder(IReadOnlyList<ChatApp> nodes)
{
    private readonly long began = Stopwatch.GetTimestamp();
    private readonly ConcurrentBag<Operation> operations = [];
    private readonly ConcurrentQueue<Device> devices = [];
    private readonly ConcurrentDictionary<(int Node, TestUser User), HttpClient> clients = new();
    private int lastId;

    public ConcurrentBag<Conversation> Conversations { get; } = [];

    /// <summary>What no checker can see: a request that nobody answered, a socket that the server closed.</summary>
    public ConcurrentBag<string> Odd { get; } = [];

    public TimeSpan Now => Stopwatch.GetElapsedTime(began);

    public int Nodes => nodes.Count;

    /// <summary>A new connection: past its status.bulk, from which on everything that is committed is pushed to it.</summary>
    public async Task<Device> Connect(TestUser user, string name, int node, Device? before)
    {
        var opening = Now;
        var client = await nodes[node].Open(bearer: nodes[node].TokenFor(user));
        var device = new Device(user, $"{name}#{Interlocked.Increment(ref lastId)}@{node}", node, client, opening, ConversationsOf(user.Id).ToDictionary(id => id, id => before?.HeldUpTo(id) ?? 0));
        devices.Enqueue(device);
        await client.Next("auth_success");
        await client.Next("status.bulk");
        return device;
    }

    /// <summary>What a client does once it is connected: asks for what it missed, from whichever node, and reads the rest.</summary>
    public async Task CatchUp(Device device, int node)
    {
        try
        {
            device.CaughtUp = await Missed(device);
        }
#pragma warning disable CA1031 // Gone before it had caught up.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            if (device.Closing is null)
                Odd.Add($"I7: {device.Name} could not catch up: {failure.Message}");
        }

        device.Snapshot = await Read(device.User, node);
    }

    public async Task Leave(Device device)
    {
        await device.Writing.WaitAsync();
        try
        {
            device.Closing = Now;
            await device.Client.Leave();
        }
        finally
        {
            device.Writing.Release();
        }
    }

    public void Kill(Device device)
    {
        device.Closing = Now;
        device.Client.Cut();
    }

    /// <summary>A request over a connection; unanswered if the connection ends before the answer.</summary>
    public async Task<Operation> Ask(Device device, Operation asked, string type, object payload, bool isAnswered = true)
    {
        var id = $"m{Interlocked.Increment(ref lastId)}";
        asked = asked with { Connection = device.Name };
        try
        {
            await device.Writing.WaitAsync();
            try
            {
                asked = asked with { Start = Now };
                await device.Client.Send(type, payload, isAnswered ? id : null);
            }
            finally
            {
                device.Writing.Release();
            }

            if (isAnswered && await device.Client.ReplyTo(id) is var reply)
                asked = asked with { Response = new Response(At(reply), reply.Type, reply.Payload) };
        }
#pragma warning disable CA1031 // Whatever a cut does to a socket: the request was not answered.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            if (device.Closing is null)
                Odd.Add($"I15: {asked} failed on an open connection: {failure.Message}");
        }

        return Note(asked);
    }

    /// <summary>A request over REST, its answer in the form that the socket would have given it.</summary>
    public async Task<Operation> Call(int node, TestUser user, Operation asked, HttpMethod method, string path, object? body, Func<JsonElement, Response> read)
    {
        asked = asked with { Start = Now };
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        using var response = await Http(node, user).SendAsync(request);
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        return Note(asked with { Response = response.IsSuccessStatusCode ? read(answer) with { At = Now } : new Response(Now, "error", answer) });
    }

    /// <summary>Everything that a user can read from a node.</summary>
    public async Task<View> Read(TestUser user, int node)
    {
        var http = Http(node, user);
        var list = await http.GetFromJsonAsync<JsonElement>("/chat/conversations?limit=200");
        var shown = list.GetProperty("conversations").EnumerateArray().Select(ConversationView.Read).ToDictionary(one => one.Id);
        var messages = new Dictionary<Guid, IReadOnlyList<Message>>();
        foreach (var id in shown.Keys)
            messages.Add(id, await Past(http, id, 0));
        var unread = await http.GetFromJsonAsync<JsonElement>("/chat/unread");
        var blocks = await http.GetFromJsonAsync<JsonElement>("/chat/blocks");
        var contacts = Conversations.Where(known => known.Members.Contains(user.Id)).SelectMany(known => known.Members).Where(other => other != user.Id).Distinct();
        var presence = await http.GetFromJsonAsync<JsonElement>($"/chat/presence?userIds={string.Join(',', contacts)}");
        return new View
        {
            Node = $"node {node}",
            UserId = user.Id,
            Conversations = shown,
            Messages = messages,
            TotalUnread = unread.GetProperty("totalUnread").GetInt64(),
            Unread = unread.GetProperty("conversations").EnumerateArray().ToDictionary(one => one.GetProperty("conversationId").GetGuid(), one => one.GetProperty("unread").GetInt64()),
            Presence = presence.GetProperty("users").EnumerateArray().ToDictionary(one => one.GetProperty("userId").GetGuid(), one => one.GetProperty("online").GetBoolean()),
            Blocks = blocks.GetProperty("blocks").EnumerateArray().Select(one => one.GetProperty("userId").GetGuid()).ToHashSet(),
        };
    }

    public IEnumerable<Guid> ConversationsOf(Guid userId) => Conversations.Where(known => known.Members.Contains(userId)).Select(known => known.Id);

    /// <summary>The history so far.</summary>
    public History Told(IReadOnlyList<View> views, IReadOnlyList<Residue> leftovers) => new()
    {
        Conversations = [.. Conversations],
        Operations = [.. operations],
        Connections = [.. devices.Select(device => device.Told(At))],
        Views = views,
        Residues = leftovers,
    };

    // The one place that knows how a client catches up.
    private async Task<IReadOnlyList<Message>> Missed(Device device)
    {
        var all = new List<Message>();
        var seen = device.Start;
        while (seen.Count > 0)
        {
            var id = $"m{Interlocked.Increment(ref lastId)}";
            await device.Writing.WaitAsync();
            try
            {
                await device.Client.Send("sync", new { conversations = seen }, id);
            }
            finally
            {
                device.Writing.Release();
            }

            var more = new Dictionary<Guid, long>(device.Start);
            var hasMore = false;
            for (var part = await device.Client.ReplyTo(id); part.Type != "sync.done"; part = await device.Client.ReplyTo(id))
            {
                all.AddRange(part["messages"].EnumerateArray().Select(Message.Read));
                hasMore |= part["hasMore"].GetBoolean();
            }

            foreach (var message in all)
                more[message.ConversationId] = Math.Max(more[message.ConversationId], message.Seq);
            seen = hasMore ? more : new Dictionary<Guid, long>();
        }

        return all;
    }

    private static async Task<IReadOnlyList<Message>> Past(HttpClient http, Guid conversation, long after)
    {
        var all = new List<Message>();
        while (true)
        {
            var page = await http.GetFromJsonAsync<JsonElement>($"/chat/conversations/{conversation}/messages?limit=200&after={(all.Count == 0 ? after : all[^1].Seq)}");
            all.AddRange(page.GetProperty("messages").EnumerateArray().Select(Message.Read));
            if (!page.GetProperty("hasMore").GetBoolean())
                return all;
        }
    }

    private TimeSpan At(Received frame) => Stopwatch.GetElapsedTime(began, frame.ArrivedAt);

    private Operation Note(Operation operation)
    {
        operations.Add(operation);
        return operation;
    }

    private HttpClient Http(int node, TestUser user) => clients.GetOrAdd((node, user), key => nodes[key.Node].Http(key.User));
}

/// <summary>A connection of a device's, and what the device knows.</summary>
internal sealed class Device(TestUser user, string name, int node, SocketClient client, TimeSpan opening, IReadOnlyDictionary<Guid, long> start)
{
    public TestUser User => user;

    public string Name => name;

    public int Node => node;

    public SocketClient Client => client;

    /// <summary>One frame at a time, so that the order of the requests is the one on the wire.</summary>
    public SemaphoreSlim Writing { get; } = new(1);

    public TimeSpan? Closing { get; set; }

    public IReadOnlyDictionary<Guid, long> Start => start;

    public IReadOnlyList<Message> CaughtUp { get; set; } = [];

    public View? Snapshot { get; set; }

    /// <summary>Up to where the device holds a conversation without a hole.</summary>
    public long HeldUpTo(Guid conversation)
    {
        var upTo = start.GetValueOrDefault(conversation);
        foreach (var seq in Messages(client.Frames).Concat(CaughtUp).Where(message => message.ConversationId == conversation).Select(message => message.Seq).Order())
            upTo += seq == upTo + 1 ? 1 : 0;
        return upTo;
    }

    public Connection Told(Func<Received, TimeSpan> at) => new()
    {
        Name = name,
        UserId = user.Id,
        Opening = opening,
        Closing = Closing,
        Frames = [.. client.Frames.Select(frame => new ReceivedFrame(at(frame), frame.Type, frame.Id, frame.Payload))],
        Start = start,
        Snapshot = Snapshot,
        CaughtUp = CaughtUp,
    };

    private static IEnumerable<Message> Messages(IEnumerable<Received> frames) =>
        frames.Where(frame => frame.Type is "message.new" or "message.sent").Select(frame => Message.Read(frame["message"]));
}
