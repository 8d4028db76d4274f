using System.Text.Json;
using Chat.Invariants;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Model;

/// <summary>
/// A user with up to three devices who performs random actions, with several requests in flight. The seed determines the
/// actions, but not how concurrent requests interleave.
/// </summary>
internal sealed class SimulatedUser(TestUser user, Recorder recorder, Random random, IReadOnlyList<TestUser> contacts)
{
    private const int MaxDevices = 3;
    private const int MaxInFlight = 6;

    private readonly Device?[] devices = new Device?[MaxDevices];
    // Copy-on-write: requests in flight read it, too.
    private Device[] open = [];
    private readonly List<Operation> sent = [];
    private readonly List<Task> inFlight = [];
    // All block requests of a user go through one node, one at a time: requests through two nodes may be executed in one order
    // and notified in the other, so that a client could not tell which was last.
    private readonly int blockNode = random.Next(recorder.Nodes);
    private Task lastBlock = Task.CompletedTask;
    private int lastText;

    public TestUser User => user;

    public IReadOnlyList<Device> Open => open;

    public async Task Run(int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            await Step(random.Next(100));
            inFlight.RemoveAll(task => task.IsCompletedSuccessfully);
            if (inFlight.Count >= MaxInFlight)
                await Task.WhenAny(inFlight);
        }

        if (random.Next(4) > 0)
            await Connect();
        await Task.WhenAll(inFlight);
    }

    /// <summary>Closes all open connections.</summary>
    public async Task CloseAll()
    {
        foreach (var device in open)
            await recorder.Close(device);
        open = [];
    }

    private Guid AnyConversation => Any([.. recorder.ConversationsOf(user.Id).Order()]);

    private Operation NewRequest(Request request, Guid? conversation = null) =>
        new() { Request = request, UserId = user.Id, Start = default, ConversationId = conversation };

    private async Task Step(int roll)
    {
        switch (roll)
        {
            case < 8:
                await Connect();
                break;
            case < 11 when open.Length > 0:
                await recorder.Close(RemoveOpen());
                break;
            case < 15 when open.Length > 0:
                recorder.Kill(RemoveOpen());
                break;
            case < 50:
                inFlight.Add(Send(AnyConversation, $"{user.Username[^4..]} says {++lastText}", random.Next(5) > 0 ? $"t{lastText}" : null));
                break;
            case < 62:
                inFlight.Add(Retry());
                break;
            case < 73:
                inFlight.Add(Read(AnyConversation));
                break;
            case < 80 when open.Length > 0:
                inFlight.Add(Deliver(Any(open), AnyConversation));
                break;
            case < 87 when open.Length > 0:
                inFlight.Add(recorder.Ask(Any(open), NewRequest(Request.Type), random.Next(3) > 0 ? "typing.start" : "typing.stop",
                    new { conversationId = AnyConversation }, isAnswered: false));
                break;
            case < 91:
                inFlight.Add(lastBlock = Block(lastBlock, Any(contacts), isOn: roll < 89));
                break;
            case < 96:
                inFlight.Add(Fetch(AnyConversation));
                break;
            default:
                inFlight.Add(recorder.CallRest(AnyNode, user, NewRequest(Request.List), HttpMethod.Get, "/chat/conversations", null,
                    response => new Response(default, "", response)));
                break;
        }
    }

    private async Task Connect()
    {
        var free = Enumerable.Range(0, MaxDevices).Where(i => devices[i] is not { Closing: null }).ToArray();
        if (free.Length == 0)
            return;
        var i = Any(free);
        var device = devices[i] = await recorder.Connect(user, $"{user.Username[^4..]}.{i}", AnyNode, devices[i]);
        open = [.. open, device];
        inFlight.Add(recorder.Sync(device, AnyNode));
    }

    private Device RemoveOpen()
    {
        var device = Any(open);
        open = [.. open.Where(other => other != device)];
        return device;
    }

    // Mostly over a device; sometimes, or without one, over REST.
    private async Task Send(Guid conversation, string content, string? tempId)
    {
        var request = NewRequest(Request.Send, conversation) with { Content = content, TempId = tempId };
        var body = new Dictionary<string, object> { ["conversationId"] = conversation, ["content"] = content };
        if (tempId is not null)
            body.Add("tempId", tempId);
        var sending = open.Length == 0 || random.Next(8) == 0
            ? recorder.CallRest(AnyNode, user, request, HttpMethod.Post, $"/chat/conversations/{conversation}/messages", body,
                response => new Response(default, "message.sent", JsonSerializer.SerializeToElement(new { tempId, message = response })))
            : recorder.Ask(Any(open), request, "message.send", body);
        // Before the response: a retry may be sent while the first attempt is in flight.
        if (tempId is not null)
            sent.Add(request);
        await sending;
    }

    private Task Retry()
    {
        if (sent.Count == 0)
            return Task.CompletedTask;
        // Mostly a recent one, which may be in flight or have lost its connection.
        var first = sent[random.Next(4) > 0 ? Math.Max(0, sent.Count - 1 - random.Next(4)) : random.Next(sent.Count)];
        return Send(first.ConversationId!.Value, random.Next(10) == 0 ? $"{first.Content}, reworded" : first.Content!, first.TempId);
    }

    private Task<Operation> Read(Guid conversation)
    {
        var device = open.Length == 0 || random.Next(8) == 0 ? null : Any(open);
        var seen = device?.ContiguousUpTo(conversation) ?? 0;
        long? upTo = seen == 0 || random.Next(3) == 0 ? null : 1 + random.NextInt64(seen);
        var request = NewRequest(Request.Read, conversation) with { UpTo = upTo };
        object body = upTo is null ? new { conversationId = conversation } : new { conversationId = conversation, upTo };
        return device is null
            ? recorder.CallRest(AnyNode, user, request, HttpMethod.Post, $"/chat/conversations/{conversation}/read", body,
                response => new Response(default, "message.read_ack", response))
            : recorder.Ask(device, request, "message.read", body);
    }

    private Task Deliver(Device device, Guid conversation)
    {
        var seen = device.ContiguousUpTo(conversation);
        return seen == 0
            ? Task.CompletedTask
            : recorder.Ask(device, NewRequest(Request.Deliver, conversation) with { UpTo = seen }, "message.delivered",
                new { conversationId = conversation, upTo = seen }, isAnswered: false);
    }

    private async Task Block(Task before, TestUser other, bool isOn)
    {
        await before;
        var request = NewRequest(isOn ? Request.Block : Request.Unblock) with { Other = other.Id };
        var over = Array.Find(open, device => device.Node == blockNode);
        if (over is not null)
            await recorder.Ask(over, request, isOn ? "block.add" : "block.remove", new { userId = other.Id });
        else
            await recorder.CallRest(blockNode, user, request, isOn ? HttpMethod.Put : HttpMethod.Delete, $"/chat/blocks/{other.Id}", null,
                response => new Response(default, "", response));
    }

    private Task<Operation> Fetch(Guid conversation)
    {
        var after = open.Length == 0 ? 0 : Math.Max(0, Any(open).ContiguousUpTo(conversation) - random.Next(20));
        return recorder.CallRest(AnyNode, user, NewRequest(Request.Fetch, conversation) with { UpTo = after }, HttpMethod.Get,
            $"/chat/conversations/{conversation}/messages?after={after}&limit=200", null, response => new Response(default, "", response));
    }

    private int AnyNode => random.Next(recorder.Nodes);

    private T Any<T>(IReadOnlyList<T> all) => all[random.Next(all.Count)];
}
