namespace Chat.Invariants;

/// <summary>
/// A client's state: a snapshot with every event applied. Frames received before the snapshot was read are applied, too:
/// all values are absolute, so a stale one is either superseded or equal.
/// </summary>
internal sealed class ClientState
{
    private readonly Dictionary<Guid, SortedDictionary<long, Message>> messages = [];
    private readonly Dictionary<Guid, Dictionary<Guid, Cursor>> cursors = [];
    private readonly Guid userId;

    private ClientState(View snapshot)
    {
        userId = snapshot.UserId;
        TotalUnread = snapshot.TotalUnread;
        Blocks = [.. snapshot.Blocks];
        foreach (var (subject, isOnline) in snapshot.Presence)
            Online[subject] = isOnline;
        foreach (var shown in snapshot.Conversations.Values)
        {
            Seq[shown.Id] = shown.Seq;
            Unread[shown.Id] = shown.Unread;
            if (shown.LastMessageId is { } last)
                LastMessage[shown.Id] = (shown.Seq, last);
            cursors[shown.Id] = shown.Cursors.ToDictionary(member => member.Key, member => member.Value);
        }

        foreach (var message in snapshot.Messages.Values.SelectMany(all => all))
            AddMessage(message);
    }

    public Dictionary<Guid, long> Seq { get; } = [];

    public Dictionary<Guid, (long Seq, Guid Id)> LastMessage { get; } = [];

    public Dictionary<Guid, long> Unread { get; } = [];

    public long TotalUnread { get; private set; }

    public Dictionary<Guid, bool> Online { get; } = [];

    public HashSet<Guid> Blocks { get; }

    /// <summary>The types of events that this client cannot apply.</summary>
    public HashSet<string> UnknownEvents { get; } = [];

    public IEnumerable<Message> Messages => messages.Values.SelectMany(bySeq => bySeq.Values);

    public Cursor CursorOf(Guid conversationId, Guid member) =>
        cursors.TryGetValue(conversationId, out var own) && own.TryGetValue(member, out var cursor) ? cursor : new Cursor(0, 0);

    /// <summary>Returns the final state of each open connection, with the view that a new client would read.</summary>
    public static IEnumerable<(Connection Connection, ClientState State, View Current)> ReplayOpenConnections(History history)
    {
        foreach (var connection in history.Connections)
        {
            if (!connection.IsOpen || connection.Snapshot is not { } snapshot
                || history.Views.FirstOrDefault(view => view.UserId == connection.UserId) is not { } current)
                continue;
            var state = new ClientState(snapshot);
            foreach (var frame in connection.Frames)
                state.Apply(frame);
            yield return (connection, state, current);
        }
    }

    private void Apply(ReceivedFrame frame)
    {
        switch (frame.Type)
        {
            case "message.new" or "message.sent":
                AddMessage(frame.Message!);
                break;
            case "conversation.updated":
                AdvanceHead(frame.Message!.ConversationId, frame.GetInt64("seq"), frame.Message.Id);
                break;
            case "notification.unread":
                SetUnread(frame);
                break;
            case "message.read_ack":
                SetUnread(frame);
                MoveCursor(frame, userId, frame.GetInt64("upTo"), isRead: true);
                break;
            case "message.read_update":
                MoveCursor(frame, frame.GetGuid("readBy"), frame.GetInt64("upTo"), isRead: true);
                break;
            case "message.delivered_update":
                MoveCursor(frame, frame.GetGuid("userId"), frame.GetInt64("upTo"), isRead: false);
                break;
            case "status.bulk":
                foreach (var status in frame.Payload.GetProperty("users").EnumerateArray())
                    Online[status.GetProperty("userId").GetGuid()] = status.GetProperty("online").GetBoolean();
                break;
            case "user.online" or "user.offline":
                Online[frame.GetGuid("userId")] = frame.Type == "user.online";
                break;
            case "block.added":
                Blocks.Add(frame.GetGuid("userId"));
                break;
            case "block.removed":
                Blocks.Remove(frame.GetGuid("userId"));
                break;
            case "sync.conversation":
                foreach (var message in frame.Payload.GetProperty("messages").EnumerateArray())
                    AddMessage(Message.Read(message));
                break;
            // Ephemeral, or about the connection: not part of a snapshot.
            case "typing.update" or "auth_success" or "pong" or "error" or "sync.done":
                break;
            default:
                UnknownEvents.Add(frame.Type);
                break;
        }
    }

    private void AddMessage(Message message)
    {
        if (!messages.TryGetValue(message.ConversationId, out var bySeq))
            messages.Add(message.ConversationId, bySeq = []);
        bySeq[message.Seq] = message;
        AdvanceHead(message.ConversationId, message.Seq, message.Id);
    }

    private void AdvanceHead(Guid conversationId, long seq, Guid messageId)
    {
        if (seq < Seq.GetValueOrDefault(conversationId))
            return;
        Seq[conversationId] = seq;
        LastMessage[conversationId] = (seq, messageId);
    }

    private void SetUnread(ReceivedFrame frame)
    {
        Unread[frame.GetGuid("conversationId")] = frame.GetInt64("unread");
        TotalUnread = frame.GetInt64("totalUnread");
    }

    private void MoveCursor(ReceivedFrame frame, Guid member, long upTo, bool isRead)
    {
        var conversationId = frame.GetGuid("conversationId");
        if (!cursors.TryGetValue(conversationId, out var own))
            cursors.Add(conversationId, own = []);
        var old = CursorOf(conversationId, member);
        own[member] = new Cursor(isRead ? Math.Max(old.ReadUpTo, upTo) : old.ReadUpTo, Math.Max(old.DeliveredUpTo, upTo));
    }
}
