using System.Globalization;

namespace Chat.Invariants;

/// <summary>
/// What a client holds: a snapshot, and every event applied to it. Frames that came before the snapshot was read are
/// applied, too: everything that counts is absolute, so what is old is either overtaken or the same.
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
        foreach (var (about, isOnline) in snapshot.Presence)
            Online[about] = isOnline;
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

    /// <summary>Events that this client has no rule for.</summary>
    public HashSet<string> UnknownEvents { get; } = [];

    public IEnumerable<Message> Messages => messages.Values.SelectMany(lane => lane.Values);

    public Cursor CursorOf(Guid conversationId, Guid member) =>
        cursors.TryGetValue(conversationId, out var own) && own.TryGetValue(member, out var cursor) ? cursor : new Cursor(0, 0);

    /// <summary>What each connection that is there at the end has come to hold, and what a fresh client would read.</summary>
    public static IEnumerable<(Connection Connection, ClientState Replica, View Fresh)> ReplayOpenConnections(History history)
    {
        foreach (var connection in history.Connections)
        {
            if (!connection.IsOpen || connection.Snapshot is not { } snapshot || history.Views.FirstOrDefault(view => view.UserId == connection.UserId) is not { } fresh)
                continue;
            var replica = new ClientState(snapshot);
            foreach (var frame in connection.Frames)
                replica.Apply(frame);
            yield return (connection, replica, fresh);
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
            // Of the moment, or about the connection: no state that a snapshot has.
            case "typing.update" or "auth_success" or "pong" or "error" or "sync.done":
                break;
            default:
                UnknownEvents.Add(frame.Type);
                break;
        }
    }

    private void AddMessage(Message message)
    {
        if (!messages.TryGetValue(message.ConversationId, out var lane))
            messages.Add(message.ConversationId, lane = []);
        lane[message.Seq] = message;
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

/// <summary>I12: the events are enough.</summary>
public static class ReplayChecks
{
    /// <summary>
    /// I12, but for unread counts and presence, which I10 and I11 judge. Of cursors the protocol does not tell
    /// everything: those of somebody with a block between are not told, and a user's own other devices learn the count
    /// and not the cursor. There what is held may be behind, and never ahead.
    /// </summary>
    public static IEnumerable<string> ReplayMatchesSnapshot(History history)
    {
        foreach (var (connection, replica, fresh) in ClientState.ReplayOpenConnections(history))
        {
            foreach (var type in replica.UnknownEvents)
                yield return $"{connection} got {type}, which the client has no rule for";
            if (!replica.Blocks.SetEquals(fresh.Blocks))
                yield return $"{connection} holds the blocks {List(replica.Blocks)}, and there are {List(fresh.Blocks)}";
            foreach (var held in replica.Messages)
            {
                var stored = fresh.Messages.GetValueOrDefault(held.ConversationId)?.FirstOrDefault(message => message.Id == held.Id);
                if (stored is not null && stored != held)
                    yield return string.Create(CultureInfo.InvariantCulture, $"{connection} holds {held} (tempId {held.TempId}), and stored is {stored} (tempId {stored.TempId})");
            }

            foreach (var shown in fresh.Conversations.Values)
            {
                if (replica.Seq.GetValueOrDefault(shown.Id) != shown.Seq || (replica.LastMessage.TryGetValue(shown.Id, out var last) ? last.Id : null as Guid?) != shown.LastMessageId)
                    yield return $"{connection} holds {ShortId.Of(shown.Id)} up to {replica.Seq.GetValueOrDefault(shown.Id)}, and it is at {shown.Seq}";
                foreach (var (member, cursor) in shown.Cursors)
                {
                    var held = replica.CursorOf(shown.Id, member);
                    var isAhead = held.ReadUpTo > cursor.ReadUpTo || held.DeliveredUpTo > cursor.DeliveredUpTo;
                    var isTold = member != connection.UserId && !BlockTimeline.MayBeBlockedSince(history, connection.UserId, member, connection.Opening);
                    if (isAhead || (isTold && held != cursor))
                        yield return $"{connection} holds {held} of {ShortId.Of(member)} in {ShortId.Of(shown.Id)}, and it is {cursor}";
                }
            }
        }
    }

    private static string List(IEnumerable<Guid> ids) => $"[{string.Join(", ", ids.Select(ShortId.Of).Order(StringComparer.Ordinal))}]";
}
