using System.Text.Json;
using Chat.Invariants;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Model;

/// <summary>
/// A user with up to three devices who performs random actions, with several requests in flight. The random numbers are derived
/// from the seed; the interleaving depends on the machine.
/// </summary>
internal sealed class Person(TestUser user, Recorder recorder, Random random, IReadOnlyList<TestUser> contacts)
{
    private const int MaxDevices = 3;
    private const int MaxUnderWay = 6;

    private readonly Device?[] devices = new Device?[MaxDevices];
    // Replaced and never mutated: requests in flight read it.
    private Device[] open = [];
    private readonly List<Operation> sent = [];
    private readonly List<Task> underWay = [];
    // All changes of one block go through one node in sequence: requests through two nodes may be executed in one order and
    // answered in the other, and a client could not know which came last.
    private readonly int blockNode = random.Next(recorder.Nodes);
    private Task lastBlock = Task.CompletedTask;
    private int lastText;

    public TestUser User => user;

    public IReadOnlyList<Device> Open => open;

    public async Task Live(int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            await Step(random.Next(100));
            underWay.RemoveAll(task => task.IsCompletedSuccessfully);
            if (underWay.Count >= MaxUnderWay)
                await Task.WhenAny(underWay);
        }

        if (random.Next(4) > 0)
            await Connect();
        await Task.WhenAll(underWay);
    }

    /// <summary>Closes all connections.</summary>
    public async Task Leave()
    {
        foreach (var device in open)
            await recorder.Leave(device);
        open = [];
    }

    private Guid AnyConversation => Any([.. recorder.ConversationsOf(user.Id).Order()]);

    private Operation Asked(Request request, Guid? conversation = null) =>
        new() { Request = request, UserId = user.Id, Start = default, ConversationId = conversation };

    private async Task Step(int dice)
    {
        switch (dice)
        {
            case < 8:
                await Connect();
                break;
            case < 11 when open.Length > 0:
                await recorder.Leave(Gone());
                break;
            case < 15 when open.Length > 0:
                recorder.Kill(Gone());
                break;
            case < 50:
                underWay.Add(Send(AnyConversation, $"{user.Username[^4..]} says {++lastText}", random.Next(5) > 0 ? $"t{lastText}" : null));
                break;
            case < 62:
                underWay.Add(Repeat());
                break;
            case < 73:
                underWay.Add(Read(AnyConversation));
                break;
            case < 80 when open.Length > 0:
                underWay.Add(Deliver(Any(open), AnyConversation));
                break;
            case < 87 when open.Length > 0:
                underWay.Add(recorder.Ask(Any(open), Asked(Request.Type), random.Next(3) > 0 ? "typing.start" : "typing.stop", new { conversationId = AnyConversation }, isAnswered: false));
                break;
            case < 91:
                underWay.Add(lastBlock = Block(lastBlock, Any(contacts), isOn: dice < 89));
                break;
            case < 96:
                underWay.Add(Look(AnyConversation));
                break;
            default:
                underWay.Add(recorder.Call(AnyNode, user, Asked(Request.List), HttpMethod.Get, "/chat/conversations", null, answer => new Response(default, "", answer)));
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
        underWay.Add(recorder.CatchUp(device, AnyNode));
    }

    private Device Gone()
    {
        var device = Any(open);
        open = [.. open.Where(other => other != device)];
        return device;
    }

    // Usually over a device; sometimes, or without one, over REST.
    private async Task Send(Guid conversation, string content, string? tempId)
    {
        var asked = Asked(Request.Send, conversation) with { Content = content, TempId = tempId };
        var body = new Dictionary<string, object> { ["conversationId"] = conversation, ["content"] = content };
        if (tempId is not null)
            body.Add("tempId", tempId);
        var sending = open.Length == 0 || random.Next(8) == 0
            ? recorder.Call(AnyNode, user, asked, HttpMethod.Post, $"/chat/conversations/{conversation}/messages", body,
                answer => new Response(default, "message.sent", JsonSerializer.SerializeToElement(new { tempId, message = answer })))
            : recorder.Ask(Any(open), asked, "message.send", body);
        // Before the answer: a retry may be sent while the first attempt is in flight.
        if (tempId is not null)
            sent.Add(asked);
        await sending;
    }

    private Task Repeat()
    {
        if (sent.Count == 0)
            return Task.CompletedTask;
        // Usually a recent one, which may be in flight or have lost its connection.
        var first = sent[random.Next(4) > 0 ? Math.Max(0, sent.Count - 1 - random.Next(4)) : random.Next(sent.Count)];
        return Send(first.ConversationId!.Value, random.Next(10) == 0 ? $"{first.Content}, in other words" : first.Content!, first.TempId);
    }

    private Task<Operation> Read(Guid conversation)
    {
        var device = open.Length == 0 || random.Next(8) == 0 ? null : Any(open);
        var seen = device?.HeldUpTo(conversation) ?? 0;
        long? upTo = seen == 0 || random.Next(3) == 0 ? null : 1 + random.NextInt64(seen);
        var asked = Asked(Request.Read, conversation) with { UpTo = upTo };
        object body = upTo is null ? new { conversationId = conversation } : new { conversationId = conversation, upTo };
        return device is null
            ? recorder.Call(AnyNode, user, asked, HttpMethod.Post, $"/chat/conversations/{conversation}/read", body, answer => new Response(default, "message.read_ack", answer))
            : recorder.Ask(device, asked, "message.read", body);
    }

    private Task Deliver(Device device, Guid conversation)
    {
        var seen = device.HeldUpTo(conversation);
        return seen == 0
            ? Task.CompletedTask
            : recorder.Ask(device, Asked(Request.Deliver, conversation) with { UpTo = seen }, "message.delivered", new { conversationId = conversation, upTo = seen }, isAnswered: false);
    }

    private async Task Block(Task before, TestUser other, bool isOn)
    {
        await before;
        var asked = Asked(isOn ? Request.Block : Request.Unblock) with { Other = other.Id };
        var over = Array.Find(open, device => device.Node == blockNode);
        if (over is not null)
            await recorder.Ask(over, asked, isOn ? "block.add" : "block.remove", new { userId = other.Id });
        else
            await recorder.Call(blockNode, user, asked, isOn ? HttpMethod.Put : HttpMethod.Delete, $"/chat/blocks/{other.Id}", null, answer => new Response(default, "", answer));
    }

    private Task<Operation> Look(Guid conversation)
    {
        var after = open.Length == 0 ? 0 : Math.Max(0, Any(open).HeldUpTo(conversation) - random.Next(20));
        return recorder.Call(AnyNode, user, Asked(Request.Fetch, conversation) with { UpTo = after }, HttpMethod.Get,
            $"/chat/conversations/{conversation}/messages?after={after}&limit=200", null, answer => new Response(default, "", answer));
    }

    private int AnyNode => random.Next(recorder.Nodes);

    private T Any<T>(IReadOnlyList<T> all) => all[random.Next(all.Count)];
}
