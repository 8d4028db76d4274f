using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Invariants;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Model;

/// <summary>Executes requests on several nodes, and records requests and responses.</summary>
internal sealed class Recorder(IReadOnlyList<ChatApp> nodes)
{
    private readonly long start = Stopwatch.GetTimestamp();
    private readonly ConcurrentBag<Operation> operations = [];
    private readonly ConcurrentQueue<Device> devices = [];
    private readonly ConcurrentDictionary<(int Node, TestUser User), HttpClient> clients = new();
    private int lastId;

    public ConcurrentBag<Conversation> Conversations { get; } = [];

    /// <summary>Failures that no checker sees: unanswered requests, and sockets closed by the server.</summary>
    public ConcurrentBag<string> Anomalies { get; } = [];

    public TimeSpan Now => Stopwatch.GetElapsedTime(start);

    public int Nodes => nodes.Count;

    /// <summary>Opens a connection, and waits for its status.bulk, from which on every commit is pushed to it.</summary>
    public async Task<Device> Connect(TestUser user, string name, int node, Device? before)
    {
        var opening = Now;
        var client = await nodes[node].Open(bearer: nodes[node].TokenFor(user));
        var device = new Device(user, $"{name}#{Interlocked.Increment(ref lastId)}@{node}", node, client, opening,
            ConversationsOf(user.Id).ToDictionary(id => id, id => before?.ContiguousUpTo(id) ?? 0));
        devices.Enqueue(device);
        await client.Next("auth_success");
        await client.Next("status.bulk");
        return device;
    }

    /// <summary>Syncs missed messages after connecting, and reads a snapshot from any node.</summary>
    public async Task Sync(Device device, int node)
    {
        try
        {
            device.CaughtUp = await FetchMissed(device);
        }
#pragma warning disable CA1031 // The connection may be closed during the sync.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            if (device.Closing is null)
                Anomalies.Add($"I7: {device.Name} could not sync: {failure.Message}");
        }

        device.Snapshot = await Read(device.User, node);
    }

    public async Task Close(Device device)
    {
        await device.WriteLock.WaitAsync();
        try
        {
            device.Closing = Now;
            await device.Client.Leave();
        }
        finally
        {
            device.WriteLock.Release();
        }
    }

    public void Kill(Device device)
    {
        device.Closing = Now;
        device.Client.Cut();
    }

    /// <summary>Sends a request on a connection; it stays unanswered if the connection is closed first.</summary>
    public async Task<Operation> Ask(Device device, Operation operation, string type, object payload, bool isAnswered = true)
    {
        var id = $"m{Interlocked.Increment(ref lastId)}";
        operation = operation with { Connection = device.Name };
        try
        {
            await device.WriteLock.WaitAsync();
            try
            {
                operation = operation with { Start = Now };
                await device.Client.Send(type, payload, isAnswered ? id : null);
            }
            finally
            {
                device.WriteLock.Release();
            }

            if (isAnswered && await device.Client.ReplyTo(id) is var reply)
                operation = operation with { Response = new Response(At(reply), reply.Type, reply.Payload) };
        }
#pragma warning disable CA1031 // Any exception of an aborted socket means that the request was not answered.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            if (device.Closing is null)
                Anomalies.Add($"I15: {operation} failed on an open connection: {failure.Message}");
        }

        return Record(operation);
    }

    /// <summary>Sends a request over REST; its response is converted to a socket frame.</summary>
    public async Task<Operation> CallRest(
        int node, TestUser user, Operation operation, HttpMethod method, string path, object? body, Func<JsonElement, Response> read)
    {
        operation = operation with { Start = Now };
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        using var response = await Http(node, user).SendAsync(request);
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
        return Record(operation with
        {
            Response = response.IsSuccessStatusCode
            ? read(answer) with { At = Now } : new Response(Now, "error", answer)
        });
    }

    /// <summary>Reads everything that a user can read from a node.</summary>
    public async Task<View> Read(TestUser user, int node)
    {
        var http = Http(node, user);
        var list = await http.GetFromJsonAsync<JsonElement>("/chat/conversations?limit=200");
        var shown = list.List("conversations").Select(ConversationView.Read).ToDictionary(one => one.Id);
        var messages = new Dictionary<Guid, IReadOnlyList<Message>>();
        foreach (var id in shown.Keys)
            messages.Add(id, await FetchAfter(http, id, 0));
        var unread = await http.GetFromJsonAsync<JsonElement>("/chat/unread");
        var blocks = await http.GetFromJsonAsync<JsonElement>("/chat/blocks");
        var contacts = Conversations.Where(known => known.Members.Contains(user.Id)).SelectMany(known => known.Members)
            .Where(other => other != user.Id).Distinct();
        var presence = await http.GetFromJsonAsync<JsonElement>($"/chat/presence?userIds={string.Join(',', contacts)}");
        return new View
        {
            Node = $"node {node}",
            UserId = user.Id,
            Conversations = shown,
            Messages = messages,
            TotalUnread = unread.Number("totalUnread"),
            Unread = unread.List("conversations")
                .ToDictionary(one => one.Id("conversationId"), one => one.Number("unread")),
            Presence = presence.List("users")
                .ToDictionary(one => one.Id("userId"), one => one.Flag("online")),
            Blocks = blocks.List("blocks").Select(one => one.Id("userId")).ToHashSet(),
        };
    }

    public IEnumerable<Guid> ConversationsOf(Guid userId) =>
        Conversations.Where(known => known.Members.Contains(userId)).Select(known => known.Id);

    /// <summary>Returns the recorded history.</summary>
    public History ToHistory(IReadOnlyList<View> views, IReadOnlyList<Residue> residues) => new()
    {
        Conversations = [.. Conversations],
        Operations = [.. operations],
        Connections = [.. devices.Select(device => device.ToConnection(At))],
        Views = views,
        Residues = residues,
    };

    // Syncs like a client: page by page, until nothing is missing.
    private async Task<IReadOnlyList<Message>> FetchMissed(Device device)
    {
        var all = new List<Message>();
        var seen = device.Start;
        while (seen.Count > 0)
        {
            var id = $"m{Interlocked.Increment(ref lastId)}";
            await device.WriteLock.WaitAsync();
            try
            {
                await device.Client.Send("sync", new { conversations = seen }, id);
            }
            finally
            {
                device.WriteLock.Release();
            }

            var more = new Dictionary<Guid, long>(device.Start);
            var hasMore = false;
            for (var part = await device.Client.ReplyTo(id); part.Type != "sync.done"; part = await device.Client.ReplyTo(id))
            {
                all.AddRange(part.List("messages").Select(Message.Read));
                hasMore |= part.Flag("hasMore");
            }

            foreach (var message in all)
                more[message.ConversationId] = Math.Max(more[message.ConversationId], message.Seq);
            seen = hasMore ? more : new Dictionary<Guid, long>();
        }

        return all;
    }

    private static async Task<IReadOnlyList<Message>> FetchAfter(HttpClient http, Guid conversation, long after)
    {
        var all = new List<Message>();
        while (true)
        {
            var page = await http.GetFromJsonAsync<JsonElement>(
                $"/chat/conversations/{conversation}/messages?limit=200&after={(all.Count == 0 ? after : all[^1].Seq)}");
            all.AddRange(page.List("messages").Select(Message.Read));
            if (!page.Flag("hasMore"))
                return all;
        }
    }

    private TimeSpan At(Received frame) => Stopwatch.GetElapsedTime(start, frame.ArrivedAt);

    private Operation Record(Operation operation)
    {
        operations.Add(operation);
        return operation;
    }

    private HttpClient Http(int node, TestUser user) => clients.GetOrAdd((node, user), key => nodes[key.Node].Http(key.User));
}

/// <summary>A device's connection, and the messages that the device has.</summary>
internal sealed class Device(
    TestUser user, string name, int node, SocketClient client, TimeSpan opening, IReadOnlyDictionary<Guid, long> start)
{
    public TestUser User => user;

    public string Name => name;

    public int Node => node;

    public SocketClient Client => client;

    /// <summary>Serializes sends, so that requests are recorded in the order on the wire.</summary>
    public SemaphoreSlim WriteLock { get; } = new(1);

    public TimeSpan? Closing { get; set; }

    public IReadOnlyDictionary<Guid, long> Start => start;

    public IReadOnlyList<Message> CaughtUp { get; set; } = [];

    public View? Snapshot { get; set; }

    /// <summary>Returns the sequence number up to which the device has all messages of a conversation.</summary>
    public long ContiguousUpTo(Guid conversation)
    {
        var upTo = start.GetValueOrDefault(conversation);
        foreach (var seq in Messages(client.Frames).Concat(CaughtUp).Where(message => message.ConversationId == conversation)
            .Select(message => message.Seq).Order())
            upTo += seq == upTo + 1 ? 1 : 0;
        return upTo;
    }

    public Connection ToConnection(Func<Received, TimeSpan> at) => new()
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
