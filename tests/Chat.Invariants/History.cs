using System.Text.Json;

namespace Chat.Invariants;

/// <summary>
/// The recorded history of a run, as observed by clients and from the database. Pure data and the only input of the
/// checkers (<see cref="Invariant"/>), so that model tests, the fault bench and hand-written histories are checked alike.
/// Depends on the wire protocol, but on no type of the server.
/// </summary>
public sealed record History
{
    /// <summary>All conversations, with their members.</summary>
    public required IReadOnlyList<Conversation> Conversations { get; init; }

    /// <summary>All client requests, over a socket or REST.</summary>
    public required IReadOnlyList<Operation> Operations { get; init; }

    /// <summary>All accepted sockets.</summary>
    public required IReadOnlyList<Connection> Connections { get; init; }

    /// <summary>What each user reads over REST from each node in the final state.</summary>
    public required IReadOnlyList<View> Views { get; init; }

    /// <summary>What each node still holds after all clients have disconnected; empty while any is connected.</summary>
    public IReadOnlyList<Residue> Residues { get; init; } = [];

    /// <summary>
    /// How long after a block's ack an event may still be delivered. Nodes invalidate their block caches over the backplane,
    /// and after two seconds at the latest, which bounds when a block takes effect on every node. There is no such grace
    /// period for storing: a send is checked in its own transaction.
    /// </summary>
    public TimeSpan BlockGrace { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The longest delay between a change of presence and its notification.</summary>
    public TimeSpan PresenceLag { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The longest time until a send is answered.</summary>
    public TimeSpan ResponseTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a connection may stay open after its token expired.</summary>
    public TimeSpan ExpiryGrace { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>A conversation.</summary>
public sealed record Conversation(Guid Id, IReadOnlyList<Guid> Members);

/// <summary>The kinds of requests.</summary>
public enum Request
{
    /// <summary><c>message.send</c>, or its REST equivalent.</summary>
    Send,

    /// <summary><c>message.read</c>, or its REST equivalent.</summary>
    Read,

    /// <summary><c>message.delivered</c>.</summary>
    Deliver,

    /// <summary><c>typing.start</c> and <c>typing.stop</c>.</summary>
    Type,

    /// <summary><c>block.add</c>, or its REST equivalent.</summary>
    Block,

    /// <summary><c>block.remove</c>, or its REST equivalent.</summary>
    Unblock,

    /// <summary><c>GET …/messages?after=</c>, or a <c>sync</c>.</summary>
    Fetch,

    /// <summary><c>GET /chat/conversations</c>.</summary>
    List,
}

/// <summary>A request, timed from just before the client sent it.</summary>
public sealed record Operation
{
    public required Request Request { get; init; }

    public required Guid UserId { get; init; }

    /// <summary>The name of the connection; null for REST.</summary>
    public string? Connection { get; init; }

    /// <summary>When the client sent the request. Unique within a connection, and in the order on the wire.</summary>
    public required TimeSpan Start { get; init; }

    /// <summary>The direct response, or null if there was none.</summary>
    public Response? Response { get; init; }

    public Guid? ConversationId { get; init; }

    /// <summary>For Send: the content as stored (trimmed).</summary>
    public string? Content { get; init; }

    public string? TempId { get; init; }

    /// <summary>For Read and Deliver: the sequence number to advance to, null for all. For Fetch: the exclusive lower bound.</summary>
    public long? UpTo { get; init; }

    /// <summary>For Block and Unblock: the other user.</summary>
    public Guid? Other { get; init; }

    /// <summary>The acknowledged message; null if this is not an acknowledged send.</summary>
    public Message? Acked =>
        Request == Request.Send && Response is { IsError: false } response ? Message.Read(response.Payload.GetProperty("message")) : null;

    public override string ToString() =>
        $"{Request} {TempId ?? Content} by {ShortId.Of(UserId)} on {Connection ?? "REST"} at {Start.TotalMilliseconds:0} ms, "
            + (Response is null ? "unanswered" : $"answered {Response.Type} {Response.Code} at {Response.At.TotalMilliseconds:0} ms");
}

/// <summary>
/// A direct response. REST responses are converted to socket frames: a message to <c>message.sent</c>, a problem to
/// <c>error</c>.
/// </summary>
public sealed record Response(TimeSpan At, string Type, JsonElement Payload)
{
    public bool IsError => Type == "error";

    public string? Code => IsError ? Payload.GetProperty("code").GetString() : null;
}

/// <summary>An accepted socket.</summary>
public sealed record Connection
{
    public required string Name { get; init; }

    public required Guid UserId { get; init; }

    /// <summary>When the client started to connect.</summary>
    public required TimeSpan Opening { get; init; }

    /// <summary>When the client started to close or was cut off; null if it stayed open to the end.</summary>
    public TimeSpan? Closing { get; init; }

    /// <summary>When the client noticed the close, if later than <see cref="Closing"/>.</summary>
    public TimeSpan? Ended { get; init; }

    /// <summary>When its token expired; null if it did not during the run.</summary>
    public TimeSpan? ExpiresAt { get; init; }

    /// <summary>All received frames, in order.</summary>
    public required IReadOnlyList<ReceivedFrame> Frames { get; init; }

    /// <summary>Per conversation, the sequence number up to which the device had all messages when it connected.</summary>
    public IReadOnlyDictionary<Guid, long> Start { get; init; } = new Dictionary<Guid, long>();

    /// <summary>What the device read over REST after connecting; null if it disconnected before.</summary>
    public View? Snapshot { get; init; }

    /// <summary>The messages after <see cref="Start"/> that the device fetched after connecting, by sync or over REST.</summary>
    public IReadOnlyList<Message> CaughtUp { get; init; } = [];

    public bool IsOpen => Closing is null;

    public override string ToString() => $"{Name} of {ShortId.Of(UserId)}";
}

/// <summary>A frame from the server. A frame with an id is a direct reply.</summary>
public sealed record ReceivedFrame(TimeSpan At, string Type, string? Id, JsonElement Payload)
{
    /// <summary>The conversation that the frame is about, if any.</summary>
    public Guid? ConversationId =>
        Payload.TryGetProperty("conversationId", out var id) && id.ValueKind == JsonValueKind.String ? id.GetGuid()
        : Message?.ConversationId;

    /// <summary>The message in the frame, if any.</summary>
    public Message? Message => Type is "message.new" or "message.sent" ? Invariants.Message.Read(Payload.GetProperty("message"))
        : Type == "conversation.updated" ? Invariants.Message.Read(Payload.GetProperty("lastMessage"))
        : null;

    public long GetInt64(string name) => Payload.GetProperty(name).GetInt64();

    public Guid GetGuid(string name) => Payload.GetProperty(name).GetGuid();
}

/// <summary>A message as a user received it.</summary>
public sealed record Message(Guid Id, Guid ConversationId, long Seq, Guid SenderId, string Content, string SentAt, string? TempId)
{
    public static Message Read(JsonElement json) => new(
        json.GetProperty("id").GetGuid(),
        json.GetProperty("conversationId").GetGuid(),
        json.GetProperty("seq").GetInt64(),
        json.GetProperty("senderId").GetGuid(),
        json.GetProperty("content").GetString()!,
        json.GetProperty("sentAt").GetString()!,
        json.TryGetProperty("tempId", out var tempId) ? tempId.GetString() : null);

    /// <summary>The message as users other than the sender receive it.</summary>
    public Message WithoutTempId => this with { TempId = null };

    public override string ToString() => $"#{Seq} \"{Content}\" of {ShortId.Of(SenderId)} in {ShortId.Of(ConversationId)}";
}

/// <summary>The read and delivery positions of a member, as sequence numbers.</summary>
public sealed record Cursor(long ReadUpTo, long DeliveredUpTo);

/// <summary>A conversation as a member reads it.</summary>
public sealed record ConversationView(Guid Id, long Seq, Guid? LastMessageId, long Unread, IReadOnlyDictionary<Guid, Cursor> Cursors)
{
    public static ConversationView Read(JsonElement json) => new(
        json.GetProperty("id").GetGuid(),
        json.GetProperty("seq").GetInt64(),
        json.TryGetProperty("lastMessage", out var last) ? last.GetProperty("id").GetGuid() : null,
        json.GetProperty("unread").GetInt64(),
        json.GetProperty("members").EnumerateArray().ToDictionary(
            member => member.GetProperty("userId").GetGuid(),
            member => new Cursor(member.GetProperty("readUpTo").GetInt64(), member.GetProperty("deliveredUpTo").GetInt64())));
}

/// <summary>Everything that a user can read over REST from one node.</summary>
public sealed record View
{
    public required string Node { get; init; }

    public required Guid UserId { get; init; }

    public required IReadOnlyDictionary<Guid, ConversationView> Conversations { get; init; }

    /// <summary>All messages per conversation, in the order returned.</summary>
    public required IReadOnlyDictionary<Guid, IReadOnlyList<Message>> Messages { get; init; }

    /// <summary>The total of <c>GET /chat/unread</c>.</summary>
    public required long TotalUnread { get; init; }

    /// <summary>The counts of <c>GET /chat/unread</c>; conversations without unread messages are omitted.</summary>
    public required IReadOnlyDictionary<Guid, long> Unread { get; init; }

    /// <summary>The result of <c>GET /chat/presence</c> for all users with whom the user shares a conversation.</summary>
    public required IReadOnlyDictionary<Guid, bool> Presence { get; init; }

    /// <summary>The users that this user has blocked.</summary>
    public required IReadOnlySet<Guid> Blocks { get; init; }

    public override string ToString() => $"{ShortId.Of(UserId)} at {Node}";
}

/// <summary>The resources that a node still holds.</summary>
public sealed record Residue(string Node, int Connections, int Feeds, int Subscriptions, int Leases);

/// <summary>Shortens ids in violations to the end of the UUID, which is random in most.</summary>
internal static class ShortId
{
    public static string Of(Guid id) => id.ToString()[^6..];
}
