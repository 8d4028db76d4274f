using System.Collections.Concurrent;
using System.Text.Json;
using Chat.Invariants;

namespace Chat.Faults;

/// <summary>
/// A device with a well-behaved client: it reconnects with back-off and jitter unless the close code forbids it, syncs by
/// sequence number, and retries a send under the same tempId until it is answered. What it sends, and when, is derived from the
/// seed.
/// </summary>
internal sealed class Device(Load load, Person person, string name, int home, Random random)
{
    // Longer than any reply may take, so that a late one is detected as late.
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(3);

    private readonly Dictionary<Guid, SortedSet<long>> ahead = [];
    private readonly Dictionary<Guid, long> held = [];
    private readonly ConcurrentDictionary<Guid, TimeSpan> arrivals = new();
    private readonly List<Saying> said = [];
    private readonly Lock gate = new();
    private TaskCompletionSource<ClientSocket> ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int node = home;
    private int lastText;
    private int lastLine;

    public Person Person => person;

    public List<ClientSocket> Sockets { get; } = [];

    /// <summary>All messages it has tried to send.</summary>
    public IReadOnlyList<Saying> Said
    {
        get
        {
            lock (gate)
                return [.. said];
        }
    }

    /// <summary>When each message first arrived, pushed or fetched.</summary>
    public IReadOnlyDictionary<Guid, TimeSpan> Arrivals => arrivals;

    /// <summary>The open and synchronized socket, if any.</summary>
    public ClientSocket? Current => ready.Task.IsCompletedSuccessfully && ready.Task.Result is { Closing: null } socket ? socket : null;

    /// <summary>The sequence number up to which it has everything.</summary>
    public long HeldUpTo
    {
        get
        {
            lock (gate)
                return held.GetValueOrDefault(person.Conversation.Id);
        }
    }

    /// <summary>Keeps a socket open until the load ends.</summary>
    public async Task LiveAsync()
    {
        var failures = 0;
        while (!load.IsOver)
        {
            var socket = await OpenAsync();
            if (socket is null || !await SynchronizeAsync(socket))
            {
                failures++;
                node = (node + 1) % load.Nodes.Count;
                await PauseAsync(TimeSpan.FromMilliseconds(50 << Math.Min(failures, 6)));
                continue;
            }

            failures = 0;
            ready.TrySetResult(socket);
            var code = await socket.Ended;
            ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
            if (load.IsOver)
                return;
            load.Closed(socket, code);
            await PauseAsync(TimeSpan.FromMilliseconds(500));
        }
    }

    /// <summary>Sends messages at intervals until the load is quiesced.</summary>
    public async Task TalkAsync()
    {
        await Task.Delay(load.Interval * random.NextDouble());
        while (load.IsTalking)
        {
            if (random.Next(25) == 0)
                await ReadAsync();
            else
                await SayAsync($"{name} says {++lastText}");
            await Task.Delay(load.Interval * (0.5 + random.NextDouble()));
        }
    }

    /// <summary>Sends a message, with as many attempts as it takes.</summary>
    /// <param name="content">The content.</param>
    /// <param name="mayCall">Whether some attempts may use REST.</param>
    public async Task<Saying> SayAsync(string content, bool mayCall = true)
    {
        Saying saying;
        int at;
        lock (gate)
        {
            at = said.Count;
            said.Add(saying = new Saying($"{name}-{at}", load.Now, null, null));
        }

        while (!load.HasGivenUp)
        {
            var asked = new Operation
            {
                Request = Request.Send,
                UserId = person.User.Id,
                Start = load.Now,
                ConversationId = person.Conversation.Id,
                Content = content,
                TempId = saying.TempId
            };
            var done = mayCall && random.Next(25) == 0 ? await CallAsync(asked) : await AskAsync(asked);
            if (done?.Acked is { } message)
            {
                saying = saying with { Acked = done.Response!.At, MessageId = message.Id };
                lock (gate)
                    said[at] = saying;
                return saying;
            }

            if (done?.Response is { IsError: true } error && !await MayRepeatAsync(error))
                return saying;
        }

        load.Note($"{name} never got an answer to {saying.TempId}");
        return saying;
    }

    /// <summary>Makes one attempt to send, under the caller's tempId.</summary>
    public Task<Operation?> TryAsync(string content, string tempId, bool overRest)
    {
        var asked = new Operation
        {
            Request = Request.Send,
            UserId = person.User.Id,
            Start = load.Now,
            ConversationId = person.Conversation.Id,
            Content = content,
            TempId = tempId
        };
        return overRest ? CallAsync(asked) : AskAsync(asked);
    }

    public async Task LeaveAsync()
    {
        if (Current is { } socket)
            await socket.LeaveAsync();
    }

    private async Task<ClientSocket?> OpenAsync()
    {
        Dictionary<Guid, long> start;
        lock (gate)
            start = new(held) { [person.Conversation.Id] = held.GetValueOrDefault(person.Conversation.Id) };
        var socket = await ClientSocket.OpenAsync(
            load.Nodes[node], load.Handshakes, $"{name}#{++lastLine}@{node}", person.User, person.Token, start, load.Began, Take, Timeout);
        if (socket is not null)
            Sockets.Add(socket);
        return socket;
    }

    // Retries on the same socket: a node keeps its sockets while its database is unavailable.
    private async Task<bool> SynchronizeAsync(ClientSocket socket)
    {
        while (!await socket.SynchronizeAsync(Timeout))
        {
            if (socket.Closing is not null || load.IsOver)
            {
                load.Closed(socket, await socket.Ended);
                return false;
            }

            await PauseAsync(TimeSpan.FromMilliseconds(400));
        }

        if (load.TakesSnapshots)
            socket.Snapshot = await load.TryReadAsync(person, node);
        return true;
    }

    private async Task<Operation?> AskAsync(Operation asked)
    {
        if (await SocketAsync() is not { } socket)
            return null;
        var (answer, start) = await socket.AskAsync(
            "message.send", new { conversationId = asked.ConversationId, content = asked.Content, tempId = asked.TempId }, Timeout);
        // Like a real client: an unresponsive connection is dropped.
        if (answer is null && socket.Closing is null)
            socket.Cut();
        return load.Note(asked with
        {
            Connection = socket.Name,
            Start = start,
            Response = answer is null ? null : new Response(answer.At, answer.Type, answer.Payload)
        });
    }

    private async Task<Operation?> CallAsync(Operation asked)
    {
        try
        {
            var path = $"/chat/conversations/{person.Conversation.Id}/messages";
            using var response = await load.CallAsync(person, load.Nodes[random.Next(load.Nodes.Count)], HttpMethod.Post, path,
                new { content = asked.Content, tempId = asked.TempId });
            var body = JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync()).RootElement;
            return load.Note(asked with
            {
                Response = response.IsSuccessStatusCode
                    ? new Response(
                        load.Now, "message.sent", JsonSerializer.SerializeToElement(new { tempId = asked.TempId, message = body }))
                    : new Response(load.Now, "error", body),
            });
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or TaskCanceledException or JsonException)
        {
            if (failure is JsonException)
                load.Note($"{name} got something over REST that is no JSON");
            await PauseAsync(TimeSpan.FromMilliseconds(200));
            return load.Note(asked);
        }
    }

    private async Task ReadAsync()
    {
        var upTo = HeldUpTo;
        if (upTo == 0 || await SocketAsync() is not { } socket)
            return;
        var asked = new Operation
        {
            Request = Request.Read,
            UserId = person.User.Id,
            Connection = socket.Name,
            Start = default,
            ConversationId = person.Conversation.Id,
            UpTo = upTo
        };
        var (answer, start) = await socket.AskAsync("message.read", new { conversationId = asked.ConversationId, upTo }, Timeout);
        load.Note(asked with { Start = start, Response = answer is null ? null : new Response(answer.At, answer.Type, answer.Payload) });
    }

    private async Task<bool> MayRepeatAsync(Response error)
    {
        if (!error.Payload.TryGetProperty("retryable", out var retryable) || !retryable.GetBoolean())
        {
            load.Note($"{name} was refused for good: {error.Payload}");
            return false;
        }

        await PauseAsync(TimeSpan.FromMilliseconds(error.Payload.TryGetProperty("retryAfterMs", out var after) ? after.GetInt32() : 250));
        return true;
    }

    private async Task<ClientSocket?> SocketAsync()
    {
        while (!load.HasGivenUp)
        {
            if (Current is { } socket)
                return socket;
            await Task.WhenAny(ready.Task, Task.Delay(50));
            if (ready.Task.IsCompleted && Current is null)
                await Task.Delay(20);
        }

        return null;
    }

    private Task PauseAsync(TimeSpan about) =>
        Task.Delay(TimeSpan.FromTicks(Math.Min(LongestPause.Ticks, (long)(about.Ticks * (0.5 + Random.Shared.NextDouble())))));

    private void Take(Message message, TimeSpan at)
    {
        arrivals.TryAdd(message.Id, at);
        lock (gate)
        {
            var upTo = held.GetValueOrDefault(message.ConversationId);
            if (message.Seq <= upTo)
                return;
            if (!ahead.TryGetValue(message.ConversationId, out var early))
                ahead.Add(message.ConversationId, early = []);
            early.Add(message.Seq);
            while (early.Remove(upTo + 1))
                upTo++;
            held[message.ConversationId] = upTo;
        }
    }
}
