using System.Text.Json;
using Chat.Invariants;

namespace Chat.Tests.Model;

/// <summary>
/// Writes histories by hand: an ideal server in a few lines, on which whatever is asked happens at once and everybody
/// is told. What a test then spoils is spoilt in the lists that it leaves open.
/// </summary>
internal sealed class Story
{
    private readonly Dictionary<string, Guid> users = [];
    private readonly List<Conversation> conversations = [];
    private readonly Dictionary<Guid, List<Message>> log = [];
    private readonly Dictionary<(Guid Conversation, Guid User), Cursor> cursors = [];
    private readonly HashSet<(Guid Blocker, Guid Blocked)> blocks = [];
    private int now;

    public List<Operation> Operations { get; } = [];

    public Dictionary<string, Connection> Connections { get; } = [];

    public List<View> Views { get; private set; } = [];

    public List<Residue> Leftovers { get; } = [];

    /// <summary>A moment later, a second by default: longer than any allowance adds up to.</summary>
    public TimeSpan Tick(int milliseconds = 1000) => TimeSpan.FromMilliseconds(now += milliseconds);

    public Guid User(string name)
    {
        if (!users.TryGetValue(name, out var id))
            users.Add(name, id = Guid.NewGuid());
        return id;
    }

    public Guid Between(string one, string other)
    {
        var members = new[] { User(one), User(other) };
        if (conversations.Find(known => members.All(known.Members.Contains)) is { } found)
            return found.Id;
        var conversation = new Conversation(Guid.NewGuid(), members);
        conversations.Add(conversation);
        log[conversation.Id] = [];
        foreach (var member in members)
            cursors[(conversation.Id, member)] = new Cursor(0, 0);
        return conversation.Id;
    }

    public List<ReceivedFrame> Frames(string connection) => (List<ReceivedFrame>)Connections[connection].Frames;

    public List<Message> CaughtUp(string connection) => (List<Message>)Connections[connection].CaughtUp;

    public List<Message> Messages(View view, Guid conversation) => (List<Message>)view.Messages[conversation];

    /// <summary>A connection of the user's that has caught up.</summary>
    public void Open(string name, string user)
    {
        var userId = User(user);
        var isFirst = !IsOnline(userId);
        var snapshot = ViewOf(userId, "a");
        Connections.Add(name, new Connection
        {
            Name = name,
            UserId = userId,
            Opening = Tick(),
            Frames = new List<ReceivedFrame>(),
            Snapshot = snapshot,
            CaughtUp = snapshot.Messages.Values.SelectMany(messages => messages).ToList(),
        });
        Push(name, "auth_success", new { userId });
        Push(name, "status.bulk", new { users = snapshot.Presence.Select(status => new { userId = status.Key, online = status.Value }) });
        if (isFirst)
            TellContacts(userId, "user.online");
    }

    public void Close(string name)
    {
        var connection = Connections[name] = Connections[name] with { Closing = Tick() };
        if (!IsOnline(connection.UserId))
            TellContacts(connection.UserId, "user.offline");
    }

    /// <summary>Sends, and everybody gets it; a known tempId is a repeat. Without a connection it goes over REST.</summary>
    public Message? Send(string user, string? over, Guid conversation, string content, string? tempId = null, bool isAnswered = true, bool isStored = true)
    {
        var (userId, start) = (User(user), Tick());
        var members = conversations.First(known => known.Id == conversation).Members;
        var message = tempId is null ? null : log[conversation].Find(known => known.SenderId == userId && known.TempId == tempId);
        var isApart = members.Any(other => blocks.Contains((userId, other)) || blocks.Contains((other, userId)));
        var isNew = message is null && isStored && !isApart;
        if (isNew)
        {
            message = new Message(Guid.NewGuid(), conversation, log[conversation].Count + 1, userId, content, $"at {start}", tempId);
            log[conversation].Add(message);
        }

        var answer = !isAnswered ? null
            : message is null ? new Response(Tick(10), "error", Json(new { code = isApart ? "BLOCKED" : "UNAVAILABLE", tempId }))
            : new Response(Tick(10), "message.sent", Json(new { tempId, message = Shape(message, userId) }));
        Operations.Add(new Operation { Request = Request.Send, UserId = userId, Connection = over, Start = start, Response = answer, ConversationId = conversation, Content = content, TempId = tempId });
        if (answer is not null && over is not null)
            Push(over, answer.Type, answer.Payload, "q");
        if (!isNew)
            return Unanswered();
        foreach (var (name, connection) in Connections.Where(to => to.Value.IsOpen && members.Contains(to.Value.UserId)))
        {
            if (name != over || !isAnswered)
                Push(name, "message.new", new { message = Shape(message!, connection.UserId) });
            Push(name, "conversation.updated", new { conversationId = conversation, lastMessage = Shape(message!.WithoutTempId, connection.UserId), seq = message.Seq });
            if (connection.UserId != userId)
                Push(name, "notification.unread", Counts(connection.UserId, conversation));
        }

        return Unanswered();

        // Only a connection that broke leaves a send without an answer.
        Message? Unanswered()
        {
            if (!isAnswered && over is not null)
                Close(over);
            return message;
        }
    }

    public void Read(string user, string over, Guid conversation, long upTo)
    {
        var (userId, start) = (User(user), Tick());
        cursors[(conversation, userId)] = new Cursor(upTo, Math.Max(upTo, cursors[(conversation, userId)].DeliveredUpTo));
        var (unread, total) = (UnreadOf(userId, conversation), TotalOf(userId));
        var answer = new Response(Tick(10), "message.read_ack", Json(new { conversationId = conversation, upTo, unread, totalUnread = total }));
        Operations.Add(new Operation { Request = Request.Read, UserId = userId, Connection = over, Start = start, Response = answer, ConversationId = conversation, UpTo = upTo });
        Push(over, answer.Type, answer.Payload, "q");
        foreach (var (name, connection) in Connections.Where(to => to.Value.IsOpen && to.Key != over))
        {
            if (connection.UserId == userId)
                Push(name, "notification.unread", Counts(userId, conversation));
            else if (IsTold(connection.UserId, userId, conversation))
                Push(name, "message.read_update", new { conversationId = conversation, upTo, readBy = userId });
        }
    }

    public void Type(string user, string over, Guid conversation)
    {
        var userId = User(user);
        Operations.Add(new Operation { Request = Request.Type, UserId = userId, Connection = over, Start = Tick(), ConversationId = conversation });
        foreach (var (name, connection) in Connections.Where(to => to.Value.IsOpen && IsTold(to.Value.UserId, userId, conversation)))
            Push(name, "typing.update", new { conversationId = conversation, userId, typing = true });
    }

    public void Block(string blocker, string blocked, string over) => Change(Request.Block, "block.added", "user.offline", blocker, blocked, over, pair => blocks.Add(pair));

    public void Unblock(string blocker, string blocked, string over) => Change(Request.Unblock, "block.removed", "user.online", blocker, blocked, over, pair => blocks.Remove(pair));

    /// <summary>The sender's own GET of everything past a number.</summary>
    public void Look(string user, Guid conversation, long after)
    {
        var messages = log[conversation].Where(message => message.Seq > after).Select(message => Shape(message, User(user))).ToArray();
        var start = Tick();
        Operations.Add(new Operation { Request = Request.Fetch, UserId = User(user), Start = start, Response = new Response(Tick(10), "", Json(new { messages, hasMore = false })), ConversationId = conversation, UpTo = after });
    }

    /// <summary>Reads what everybody can read, on two nodes.</summary>
    public void Settle() => Views = [.. from user in users.Values from node in (string[])["a", "b"] select ViewOf(user, node)];

    public void Push(string connection, string type, object payload, string? id = null) => Frames(connection).Add(new ReceivedFrame(Tick(1), type, id, Json(payload)));

    public History Told() => new()
    {
        Conversations = conversations,
        Operations = Operations,
        Connections = [.. Connections.Values],
        Views = Views,
        Residues = Leftovers,
    };

    public static JsonElement Json(object value) => value is JsonElement json ? json : JsonSerializer.SerializeToElement(value);

    public static object Shape(Message message, Guid to) => message.TempId is null || message.SenderId != to
        ? new { id = message.Id, conversationId = message.ConversationId, seq = message.Seq, senderId = message.SenderId, content = message.Content, sentAt = message.SentAt }
        : new { id = message.Id, conversationId = message.ConversationId, seq = message.Seq, senderId = message.SenderId, content = message.Content, sentAt = message.SentAt, tempId = message.TempId };

    private void Change(Request request, string name, string presence, string blocker, string blocked, string over, Action<(Guid, Guid)> change)
    {
        var (userId, other, start) = (User(blocker), User(blocked), Tick());
        change((userId, other));
        foreach (var (to, about) in ((Guid, Guid)[])[(userId, other), (other, userId)])
        {
            foreach (var (device, _) in Connections.Where(own => own.Value.IsOpen && own.Value.UserId == to && IsOnline(about) && ContactsOf(to).Contains(about)))
                Push(device, presence, new { userId = about });
        }

        foreach (var (device, _) in Connections.Where(own => own.Value.IsOpen && own.Value.UserId == userId))
            Push(device, name, new { userId = other }, device == over ? "q" : null);
        Operations.Add(new Operation { Request = request, UserId = userId, Connection = over, Start = start, Other = other, Response = new Response(Tick(10), name, Json(new { userId = other })) });
    }

    private void TellContacts(Guid about, string type)
    {
        foreach (var (name, connection) in Connections.Where(to => to.Value.IsOpen && ContactsOf(about).Contains(to.Value.UserId) && !AreApart(about, to.Value.UserId)))
            Push(name, type, new { userId = about });
    }

    private object Counts(Guid userId, Guid conversation) => new { conversationId = conversation, unread = UnreadOf(userId, conversation), totalUnread = TotalOf(userId) };

    private bool IsOnline(Guid userId) => Connections.Values.Any(own => own.UserId == userId && own.IsOpen);

    private bool AreApart(Guid one, Guid other) => blocks.Contains((one, other)) || blocks.Contains((other, one));

    private bool IsTold(Guid userId, Guid about, Guid conversation) =>
        userId != about && !AreApart(userId, about) && conversations.First(known => known.Id == conversation).Members.Contains(userId);

    private HashSet<Guid> ContactsOf(Guid userId) =>
        [.. conversations.Where(known => known.Members.Contains(userId)).SelectMany(known => known.Members).Where(member => member != userId)];

    private long UnreadOf(Guid userId, Guid conversation) =>
        log[conversation].Count(message => message.SenderId != userId && message.Seq > cursors[(conversation, userId)].ReadUpTo);

    private long TotalOf(Guid userId) => conversations.Where(known => known.Members.Contains(userId)).Sum(known => UnreadOf(userId, known.Id));

    private View ViewOf(Guid userId, string node)
    {
        var own = conversations.Where(known => known.Members.Contains(userId)).ToArray();
        return new View
        {
            Node = node,
            UserId = userId,
            Conversations = own.ToDictionary(known => known.Id, known => new ConversationView(
                known.Id,
                log[known.Id].Count,
                log[known.Id] is [.., var last] ? last.Id : null,
                UnreadOf(userId, known.Id),
                known.Members.ToDictionary(member => member, member => cursors[(known.Id, member)]))),
            Messages = own.ToDictionary(known => known.Id, IReadOnlyList<Message> (known) =>
                log[known.Id].Select(message => message.SenderId == userId ? message : message.WithoutTempId).ToList()),
            TotalUnread = TotalOf(userId),
            Unread = own.Where(known => UnreadOf(userId, known.Id) > 0).ToDictionary(known => known.Id, known => UnreadOf(userId, known.Id)),
            Presence = ContactsOf(userId).ToDictionary(other => other, other => IsOnline(other) && !AreApart(userId, other)),
            Blocks = blocks.Where(block => block.Blocker == userId).Select(block => block.Blocked).ToHashSet(),
        };
    }
}
