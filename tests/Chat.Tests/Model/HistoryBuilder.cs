using System.Text.Json;
using Chat.Invariants;

namespace Chat.Tests.Model;

/// <summary>
/// Builds histories by simulating an ideal server, on which every request takes effect immediately and everyone is notified.
/// Tests mutate the history through the exposed lists.
/// </summary>
internal sealed class HistoryBuilder
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

    public List<Residue> Residues { get; } = [];

    /// <summary>Advances the clock, by a second unless specified, and returns the time.</summary>
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

    /// <summary>Opens a connection of a user, with its messages synced.</summary>
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
            NotifyContacts(userId, "user.online");
    }

    public void Close(string name)
    {
        var connection = Connections[name] = Connections[name] with { Closing = Tick() };
        if (!IsOnline(connection.UserId))
            NotifyContacts(connection.UserId, "user.offline");
    }

    /// <summary>
    /// Sends a message to all members; a known tempId makes it a retry. Without a connection it goes over REST.
    /// </summary>
    public Message? Send(string user, string? connectionName, Guid conversation, string content, string? tempId = null,
        bool isAnswered = true, bool isStored = true)
    {
        var (userId, start) = (User(user), Tick());
        var members = conversations.First(known => known.Id == conversation).Members;
        var message = tempId is null ? null : log[conversation].Find(known => known.SenderId == userId && known.TempId == tempId);
        var isBlocked = members.Any(other => blocks.Contains((userId, other)) || blocks.Contains((other, userId)));
        var isNew = message is null && isStored && !isBlocked;
        if (isNew)
        {
            message = new Message(Guid.NewGuid(), conversation, log[conversation].Count + 1, userId, content, $"at {start}", tempId);
            log[conversation].Add(message);
        }

        var response = !isAnswered ? null
            : message is null ? new Response(Tick(10), "error", Json(new { code = isBlocked ? "BLOCKED" : "UNAVAILABLE", tempId }))
            : new Response(Tick(10), "message.sent", Json(new { tempId, message = ToWire(message, userId) }));
        Operations.Add(new Operation
        {
            Request = Request.Send,
            UserId = userId,
            Connection = connectionName,
            Start = start,
            Response = response,
            ConversationId = conversation,
            Content = content,
            TempId = tempId
        });
        if (response is not null && connectionName is not null)
            Push(connectionName, response.Type, response.Payload, "q");
        if (!isNew)
            return Unanswered();
        foreach (var (name, connection) in Connections.Where(to => to.Value.IsOpen && members.Contains(to.Value.UserId)))
        {
            if (name != connectionName || !isAnswered)
                Push(name, "message.new", new { message = ToWire(message!, connection.UserId) });
            Push(name, "conversation.updated",
                new { conversationId = conversation, lastMessage = ToWire(message!.WithoutTempId, connection.UserId), seq = message.Seq });
            if (connection.UserId != userId)
                Push(name, "notification.unread", Counts(connection.UserId, conversation));
        }

        return Unanswered();

        // A send stays unanswered only if its connection broke.
        Message? Unanswered()
        {
            if (!isAnswered && connectionName is not null)
                Close(connectionName);
            return message;
        }
    }

    public void Read(string user, string connectionName, Guid conversation, long upTo)
    {
        var (userId, start) = (User(user), Tick());
        cursors[(conversation, userId)] = new Cursor(upTo, Math.Max(upTo, cursors[(conversation, userId)].DeliveredUpTo));
        var (unread, total) = (UnreadOf(userId, conversation), TotalOf(userId));
        var response =
            new Response(Tick(10), "message.read_ack", Json(new { conversationId = conversation, upTo, unread, totalUnread = total }));
        Operations.Add(new Operation
        {
            Request = Request.Read,
            UserId = userId,
            Connection = connectionName,
            Start = start,
            Response = response,
            ConversationId = conversation,
            UpTo = upTo
        });
        Push(connectionName, response.Type, response.Payload, "q");
        foreach (var (name, connection) in Connections.Where(to => to.Value.IsOpen && to.Key != connectionName))
        {
            if (connection.UserId == userId)
                Push(name, "notification.unread", Counts(userId, conversation));
            else if (IsNotified(connection.UserId, userId, conversation))
                Push(name, "message.read_update", new { conversationId = conversation, upTo, readBy = userId });
        }
    }

    public void Type(string user, string connectionName, Guid conversation)
    {
        var userId = User(user);
        Operations.Add(new Operation
        {
            Request = Request.Type,
            UserId = userId,
            Connection = connectionName,
            Start = Tick(),
            ConversationId = conversation
        });
        foreach (var (name, connection) in Connections.Where(to => to.Value.IsOpen && IsNotified(to.Value.UserId, userId, conversation)))
            Push(name, "typing.update", new { conversationId = conversation, userId, typing = true });
    }

    public void Block(string blocker, string blocked, string connectionName) =>
        Change(Request.Block, "block.added", "user.offline", blocker, blocked, connectionName, pair => blocks.Add(pair));

    public void Unblock(string blocker, string blocked, string connectionName) =>
        Change(Request.Unblock, "block.removed", "user.online", blocker, blocked, connectionName, pair => blocks.Remove(pair));

    /// <summary>Fetches the messages after a sequence number over REST.</summary>
    public void Fetch(string user, Guid conversation, long after)
    {
        var messages = log[conversation].Where(message => message.Seq > after).Select(message => ToWire(message, User(user))).ToArray();
        var start = Tick();
        Operations.Add(new Operation
        {
            Request = Request.Fetch,
            UserId = User(user),
            Start = start,
            Response = new Response(Tick(10), "", Json(new { messages, hasMore = false })),
            ConversationId = conversation,
            UpTo = after
        });
    }

    /// <summary>Reads the final views of all users, on two nodes.</summary>
    public void ReadViews() => Views = [.. from user in users.Values from node in (string[])["a", "b"] select ViewOf(user, node)];

    public void Push(string connection, string type, object payload, string? id = null) =>
        Frames(connection).Add(new ReceivedFrame(Tick(1), type, id, Json(payload)));

    public History Build() => new()
    {
        Conversations = conversations,
        Operations = Operations,
        Connections = [.. Connections.Values],
        Views = Views,
        Residues = Residues,
    };

    public static JsonElement Json(object value) => value is JsonElement json ? json : JsonSerializer.SerializeToElement(value);

    public static object ToWire(Message message, Guid to)
    {
        var (id, conversationId, seq, senderId, content, sentAt, tempId) = message;
        return tempId is null || senderId != to
            ? new { id, conversationId, seq, senderId, content, sentAt }
            : new { id, conversationId, seq, senderId, content, sentAt, tempId };
    }

    private void Change(
        Request request, string name, string presence, string blocker, string blocked, string connectionName, Action<(Guid, Guid)> change)
    {
        var (userId, other, start) = (User(blocker), User(blocked), Tick());
        change((userId, other));
        foreach (var (to, about) in ((Guid, Guid)[])[(userId, other), (other, userId)])
        {
            foreach (var (device, _) in Connections.Where(
                own => own.Value.IsOpen && own.Value.UserId == to && IsOnline(about) && ContactsOf(to).Contains(about)))
                Push(device, presence, new { userId = about });
        }

        foreach (var (device, _) in Connections.Where(own => own.Value.IsOpen && own.Value.UserId == userId))
            Push(device, name, new { userId = other }, device == connectionName ? "q" : null);
        Operations.Add(new Operation
        {
            Request = request,
            UserId = userId,
            Connection = connectionName,
            Start = start,
            Other = other,
            Response = new Response(Tick(10), name, Json(new { userId = other }))
        });
    }

    private void NotifyContacts(Guid about, string type)
    {
        foreach (var (name, connection) in Connections.Where(
            to => to.Value.IsOpen && ContactsOf(about).Contains(to.Value.UserId) && !AreBlocked(about, to.Value.UserId)))
            Push(name, type, new { userId = about });
    }

    private object Counts(Guid userId, Guid conversation) =>
        new { conversationId = conversation, unread = UnreadOf(userId, conversation), totalUnread = TotalOf(userId) };

    private bool IsOnline(Guid userId) => Connections.Values.Any(own => own.UserId == userId && own.IsOpen);

    private bool AreBlocked(Guid one, Guid other) => blocks.Contains((one, other)) || blocks.Contains((other, one));

    private bool IsNotified(Guid userId, Guid about, Guid conversation) =>
        userId != about && !AreBlocked(userId, about) && conversations.First(known => known.Id == conversation).Members.Contains(userId);

    private HashSet<Guid> ContactsOf(Guid userId) =>
        [.. conversations.Where(known => known.Members.Contains(userId)).SelectMany(known => known.Members)
            .Where(member => member != userId)];

    private long UnreadOf(Guid userId, Guid conversation) =>
        log[conversation].Count(message => message.SenderId != userId && message.Seq > cursors[(conversation, userId)].ReadUpTo);

    private long TotalOf(Guid userId) =>
        conversations.Where(known => known.Members.Contains(userId)).Sum(known => UnreadOf(userId, known.Id));

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
            Unread =
                own.Where(known => UnreadOf(userId, known.Id) > 0).ToDictionary(known => known.Id, known => UnreadOf(userId, known.Id)),
            Presence = ContactsOf(userId).ToDictionary(other => other, other => IsOnline(other) && !AreBlocked(userId, other)),
            Blocks = blocks.Where(block => block.Blocker == userId).Select(block => block.Blocked).ToHashSet(),
        };
    }
}
