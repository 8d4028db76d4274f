using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Chat.Invariants;

namespace Chat.Faults;

/// <summary>The size and rate of a load.</summary>
/// <param name="People">The number of users; even, because they chat in pairs.</param>
/// <param name="Devices">The number of devices per user, each on another node.</param>
/// <param name="PerSecond">Sends per second, in total.</param>
internal sealed record Crowd(int People, int Devices, double PerSecond);

/// <summary>Users who chat in pairs, on several devices and nodes, and the record of all requests and events.</summary>
internal sealed class Load : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    private readonly ConcurrentQueue<Operation> operations = new();
    private readonly ConcurrentQueue<string> odd = new();
    private readonly ConcurrentDictionary<int, int> closes = new();
    private readonly List<Task> living = [];
    private readonly List<Task> talking = [];

    private Load(IReadOnlyList<ChatNode> nodes, Crowd crowd)
    {
        Nodes = nodes;
        Interval = TimeSpan.FromSeconds(crowd.People * crowd.Devices / crowd.PerSecond);
    }

    public IReadOnlyList<ChatNode> Nodes { get; }

    /// <summary>Used for all handshakes.</summary>
    public HttpMessageInvoker Handshakes { get; } = new(new SocketsHttpHandler { UseProxy = false });

    /// <summary>The interval between two sends of a device.</summary>
    public TimeSpan Interval { get; }

    public long Began { get; } = Stopwatch.GetTimestamp();

    public TimeSpan Now => Stopwatch.GetElapsedTime(Began);

    public List<Person> People { get; } = [];

    public List<Device> Devices { get; } = [];

    public bool IsTalking { get; private set; }

    /// <summary>Whether sends are no longer retried.</summary>
    public bool HasGivenUp { get; private set; }

    /// <summary>Whether devices no longer reconnect.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Whether devices load the whole history when they connect, so that their state can be compared at the end.</summary>
    public bool TakesSnapshots { get; private set; }

    /// <summary>The number of sends answered UNAVAILABLE.</summary>
    public int Refused => operations.Count(operation => operation is { Request: Request.Send, Response.Code: "UNAVAILABLE" });

    /// <summary>The number of closes by close code.</summary>
    public IReadOnlyDictionary<int, int> Closes => closes;

    /// <summary>Errors that no invariant covers.</summary>
    public IReadOnlyCollection<string> Odd => odd;

    /// <summary>Connects all users and starts the load.</summary>
    public static async Task<Load> StartAsync(Cluster cluster, Crowd crowd, int seed)
    {
        var load = new Load(cluster.Nodes, crowd) { IsTalking = true, TakesSnapshots = true };
        for (var pair = 0; pair < crowd.People / 2; pair++)
            await load.MeetAsync(pair);
        var random = new Random(seed);
        foreach (var (person, i) in load.People.Select((person, i) => (person, i)))
        {
            for (var device = 0; device < crowd.Devices; device++)
                load.Devices.Add(new Device(
                    load, person, $"{person.User.Name}.{device}", (i + device) % cluster.Nodes.Count, new Random(random.Next())));
        }

        load.living.AddRange(load.Devices.Select(device => Task.Run(device.LiveAsync)));
        await Wait.UntilAsync(
            "everybody is connected", StartLimit, () => Task.FromResult(load.Devices.TrueForAll(device => device.Current is not null)));
        load.TakesSnapshots = false;
        load.talking.AddRange(load.Devices.Select(device => Task.Run(device.TalkAsync)));
        return load;
    }

    public Operation Note(Operation operation)
    {
        operations.Enqueue(operation);
        return operation;
    }

    /// <summary>Returns the 99th percentile of the ack latency of messages sent in an interval.</summary>
    public TimeSpan AckP99(TimeSpan from, TimeSpan to)
    {
        var took = operations.Where(
            send => send.Request == Request.Send && send.Start >= from && send.Start < to && send.Response is { IsError: false })
            .Select(send => send.Response!.At - send.Start).Order().ToArray();
        return took.Length == 0 ? TimeSpan.Zero : took[(int)(0.99 * (took.Length - 1))];
    }

    /// <summary>Returns the attempts of one send, in order.</summary>
    public IReadOnlyList<Operation> Tries(string tempId) =>
        [.. operations.Where(operation => operation.TempId == tempId).OrderBy(operation => operation.Start)];

    public void Note(string finding) => odd.Enqueue(finding);

    public void Closed(ClientSocket socket, int code)
    {
        closes.AddOrUpdate(code, 1, (_, times) => times + 1);
        if (code is >= 4500 or 1003 or 1007 or 1009)
            Note($"{socket.Name} was closed for good: {code}");
    }

    /// <summary>Makes a REST request.</summary>
    public async Task<HttpResponseMessage> CallAsync(Person person, ChatNode node, HttpMethod method, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", person.Token);
        return await node.Http.SendAsync(request);
    }

    public async Task<JsonElement> GetAsync(Person person, ChatNode node, string path)
    {
        using var response = await CallAsync(person, node, HttpMethod.Get, path);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    /// <summary>Returns everything that a user can read from a node.</summary>
    public async Task<View> ReadAsync(Person person, int node)
    {
        var list = await GetAsync(person, Nodes[node], "/chat/conversations?limit=200");
        var shown = list.GetProperty("conversations").EnumerateArray().Select(ConversationView.Read).ToDictionary(one => one.Id);
        var messages = new Dictionary<Guid, IReadOnlyList<Message>>();
        foreach (var id in shown.Keys)
            messages.Add(id, await HistoryAsync(person, node, id));
        var unread = await GetAsync(person, Nodes[node], "/chat/unread");
        var others = person.Conversation.Members.Where(member => member != person.User.Id);
        var presence = await GetAsync(person, Nodes[node], $"/chat/presence?userIds={string.Join(',', others)}");
        return new View
        {
            Node = Nodes[node].Name,
            UserId = person.User.Id,
            Conversations = shown,
            Messages = messages,
            TotalUnread = unread.GetProperty("totalUnread").GetInt64(),
            Unread = unread.GetProperty("conversations").EnumerateArray()
                .ToDictionary(one => one.GetProperty("conversationId").GetGuid(), one => one.GetProperty("unread").GetInt64()),
            Presence = presence.GetProperty("users").EnumerateArray()
                .ToDictionary(one => one.GetProperty("userId").GetGuid(), one => one.GetProperty("online").GetBoolean()),
            Blocks = new HashSet<Guid>(),
        };
    }

    /// <summary>Returns everything that a user can read from a node; null if the node does not answer.</summary>
    public async Task<View?> TryReadAsync(Person person, int node)
    {
        try
        {
            return await ReadAsync(person, node);
        }
        catch (Exception failure) when (failure is HttpRequestException or TaskCanceledException or IOException)
        {
            return null;
        }
    }

    /// <summary>Stops new sends and waits until all running ones are answered.</summary>
    public async Task QuiesceAsync(TimeSpan timeout)
    {
        IsTalking = false;
        var all = Task.WhenAll(talking);
        await Task.WhenAny(all, Task.Delay(timeout));
        HasGivenUp = true;
        await all;
    }

    /// <summary>Disconnects all users.</summary>
    public async Task LeaveAsync()
    {
        IsOver = true;
        await Task.WhenAll(Devices.Select(device => device.LeaveAsync()));
        await Task.WhenAll(living);
    }

    public History Told(IReadOnlyList<View> views, IReadOnlyList<Residue> leftovers) => new()
    {
        Conversations = [.. People.Select(person => person.Conversation).DistinctBy(conversation => conversation.Id)],
        Operations = [.. operations],
        Connections = [.. Devices.SelectMany(device => device.Sockets).Select(socket => socket.Record())],
        Views = views,
        Residues = leftovers,
        // The crash of a node is detected when its leases expire.
        PresenceLag = TimeSpan.FromSeconds(65),
    };

    public async ValueTask DisposeAsync()
    {
        (IsTalking, HasGivenUp, IsOver) = (false, true, true);
        foreach (var socket in Devices.SelectMany(device => device.Sockets))
            socket.Cut();
        await Task.WhenAll([.. living, .. talking]).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var socket in Devices.SelectMany(device => device.Sockets))
            socket.Dispose();
        Handshakes.Dispose();
    }

    private async Task MeetAsync(int pair)
    {
        User[] users = [new(Guid.NewGuid(), $"p{pair}a"), new(Guid.NewGuid(), $"p{pair}b")];
        var unmet = users.Select(user => new Person(user, new Conversation(Guid.Empty, []), Cluster.TokenFor(user))).ToArray();
        // A user who has presented a token is known.
        await GetAsync(unmet[1], Nodes[0], "/chat/unread");
        using var opened = await CallAsync(unmet[0], Nodes[0], HttpMethod.Post, "/chat/conversations", new { userId = users[1].Id });
        opened.EnsureSuccessStatusCode();
        var conversation = new Conversation(
            (await opened.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetGuid(), [.. users.Select(user => user.Id)]);
        People.AddRange(unmet.Select(person => person with { Conversation = conversation }));
    }

    private async Task<IReadOnlyList<Message>> HistoryAsync(Person person, int node, Guid conversation)
    {
        var all = new List<Message>();
        while (true)
        {
            var page = await GetAsync(
                person, Nodes[node], $"/chat/conversations/{conversation}/messages?limit=200&after={(all.Count == 0 ? 0 : all[^1].Seq)}");
            all.AddRange(page.GetProperty("messages").EnumerateArray().Select(Message.Read));
            if (!page.GetProperty("hasMore").GetBoolean())
                return all;
        }
    }
}
