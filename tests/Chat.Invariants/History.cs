using System.Text.Json;

namespace Chat.Invariants;

/// <summary>
/// What happened in a run, as clients and an observer of the database saw it. Pure data: the checkers
/// (<see cref="Invariant"/>) read it and nothing else, so that a model test, a fault bench and a history written by hand
/// are judged alike. Knows the wire protocol and no type of the server's.
/// </summary>
public sealed record History
{
    /// <summary>All conversations with their members.</summary>
    public required IReadOnlyList<Conversation> Conversations { get; init; }

    /// <summary>Everything that clients asked of the server, by socket or REST.</summary>
    public required IReadOnlyList<Operation> Operations { get; init; }

    /// <summary>Every socket that was accepted.</summary>
    public required IReadOnlyList<Connection> Connections { get; init; }

    /// <summary>What each user reads over REST from each node when all has settled.</summary>
    public required IReadOnlyList<View> Views { get; init; }

    /// <summary>What each node still holds after everybody has left; empty while somebody is there.</summary>
    public IReadOnlyList<Residue> Residues { get; init; } = [];

    /// <summary>
    /// How long after a block's ack something may still cross. Nodes forget what they know of blocks when one changes,
    /// over the backplane, and after two seconds at the latest, so that is what a block promises on every node. What is
    /// stored has no such time: a send is checked in its own transaction.
    /// </summary>
    public TimeSpan BlockGrace { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long after a change of presence it may be told.</summary>
    public TimeSpan PresenceLag { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a send may be without an answer.</summary>
    public TimeSpan ResponseTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a connection may outlive its token.</summary>
    public TimeSpan ExpiryGrace { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>A conversation.</summary>
public sealed record Conversation(Guid Id, IReadOnlyList<Guid> Members);

/// <summary>What a client asked for.</summary>
public enum Request
{
    /// <summary><c>message.send</c>, or its REST call.</summary>
    Send,

    /// <summary><c>message.read</c>, or its REST call.</summary>
    Read,

    /// <summary><c>message.delivered</c>.</summary>
    Deliver,

    /// <summary><c>typing.start</c> and <c>typing.stop</c>.</summary>
    Type,

    /// <summary><c>block.add</c>, or its REST call.</summary>
    Block,

    /// <summary><c>block.remove</c>, or its REST call.</summary>
    Unblock,

    /// <summary><c>GET …/messages?after=</c>, or a <c>sync</c>.</summary>
    Fetch,

    /// <summary><c>GET /chat/conversations</c>.</summary>
    List,
}

/// <summary>One request, from the moment before it left the client.</summary>
public sealed record Operation
{
    public required Request Request { get; init; }

    public required Guid UserId { get; init; }

    /// <summary>The connection it went over; null over REST.</summary>
    public string? Connection { get; init; }

    /// <summary>When the client began. On one connection no two begin at once, and the order is the one on the wire.</summary>
    public required TimeSpan Start { get; init; }

    /// <summary>The direct answer, or null if none came.</summary>
    public Response? Response { get; init; }

    public Guid? ConversationId { get; init; }

    /// <summary>Send: what it says, as it is stored (trimmed).</summary>
    public string? Content { get; init; }

    public string? TempId { get; init; }

    /// <summary>Read and Deliver: up to where; null is everything. Look: from where on, exclusively.</summary>
    public long? UpTo { get; init; }

    /// <summary>Block and Unblock: the other person.</summary>
    public Guid? Other { get; init; }

    /// <summary>The message that was acknowledged, if this is an acknowledged send.</summary>
    public Message? Acked => Request == Request.Send && Response is { IsError: false } answer ? Message.Read(answer.Payload.GetProperty("message")) : null;

    public override string ToString() =>
        $"{Request} {TempId ?? Content} by {ShortId.Of(UserId)} over {Connection ?? "REST"} at {Start.TotalMilliseconds:0} ms{(Response is null ? ", unanswered" : $", answered {Response.Type} {Response.Code} at {Response.At.TotalMilliseconds:0} ms")}";
}

/// <summary>A direct answer. REST answers take the form of the socket's: a message becomes <c>message.sent</c>, a problem <c>error</c>.</summary>
public sealed record Response(TimeSpan At, string Type, JsonElement Payload)
{
    public bool IsError => Type == "error";

    public string? Code => IsError ? Payload.GetProperty("code").GetString() : null;
}

/// <summary>One accepted socket.</summary>
public sealed record Connection
{
    public required string Name { get; init; }

    public required Guid UserId { get; init; }

    /// <summary>When the client began to connect.</summary>
    public required TimeSpan Opening { get; init; }

    /// <summary>When the client began to leave or was cut off; null if it is there to the end.</summary>
    public TimeSpan? Closing { get; init; }

    /// <summary>When the client knew that it was closed, if that was later than <see cref="Closing"/>.</summary>
    public TimeSpan? Ended { get; init; }

    /// <summary>When its token ran out, if that was in the run.</summary>
    public TimeSpan? ExpiresAt { get; init; }

    /// <summary>Everything that came, in order.</summary>
    public required IReadOnlyList<ReceivedFrame> Frames { get; init; }

    /// <summary>The number up to which the device held each conversation without a hole when it connected.</summary>
    public IReadOnlyDictionary<Guid, long> Start { get; init; } = new Dictionary<Guid, long>();

    /// <summary>What the device read over REST once it was connected; null if it was gone before.</summary>
    public View? Snapshot { get; init; }

    /// <summary>The messages past <see cref="Start"/> that it asked for once it was connected: by sync, or over REST.</summary>
    public IReadOnlyList<Message> CaughtUp { get; init; } = [];

    public bool IsOpen => Closing is null;

    public override string ToString() => $"{Name} of {ShortId.Of(UserId)}";
}

/// <summary>One frame from the server. Those with an id are direct replies.</summary>
public sealed record ReceivedFrame(TimeSpan At, string Type, string? Id, JsonElement Payload)
{
    /// <summary>The conversation that the frame is about, if it is about one.</summary>
    public Guid? ConversationId => Payload.TryGetProperty("conversationId", out var id) && id.ValueKind == JsonValueKind.String ? id.GetGuid()
        : Message?.ConversationId;

    /// <summary>The message that it brings, if it brings one.</summary>
    public Message? Message => Type is "message.new" or "message.sent" ? Invariants.Message.Read(Payload.GetProperty("message"))
        : Type == "conversation.updated" ? Invariants.Message.Read(Payload.GetProperty("lastMessage"))
        : null;

    public long GetInt64(string name) => Payload.GetProperty(name).GetInt64();

    public Guid GetGuid(string name) => Payload.GetProperty(name).GetGuid();
}

/// <summary>A message as somebody was shown it.</summary>
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

    /// <summary>As anybody but the sender is shown it.</summary>
    public Message WithoutTempId => this with { TempId = null };

    public override string ToString() => $"#{Seq} \"{Content}\" of {ShortId.Of(SenderId)} in {ShortId.Of(ConversationId)}";
}

/// <summary>How far a member has come.</summary>
public sealed record Cursor(long ReadUpTo, long DeliveredUpTo);

/// <summary>A conversation as a member is shown it.</summary>
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

/// <summary>Everything a user can read over REST, from one node.</summary>
public sealed record View
{
    public required string Node { get; init; }

    public required Guid UserId { get; init; }

    public required IReadOnlyDictionary<Guid, ConversationView> Conversations { get; init; }

    /// <summary>Whole histories, ascending as they came.</summary>
    public required IReadOnlyDictionary<Guid, IReadOnlyList<Message>> Messages { get; init; }

    /// <summary>What <c>GET /chat/unread</c> says.</summary>
    public required long TotalUnread { get; init; }

    /// <summary>The same; conversations without unread messages are left out.</summary>
    public required IReadOnlyDictionary<Guid, long> Unread { get; init; }

    /// <summary>What <c>GET /chat/presence</c> says of everybody the user shares a conversation with.</summary>
    public required IReadOnlyDictionary<Guid, bool> Presence { get; init; }

    /// <summary>Whom the user has blocked.</summary>
    public required IReadOnlySet<Guid> Blocks { get; init; }

    public override string ToString() => $"{ShortId.Of(UserId)} at {Node}";
}

/// <summary>What a node still holds.</summary>
public sealed record Residue(string Node, int Connections, int Feeds, int Subscriptions, int Leases);

/// <summary>Ids in violations: the end of a UUID, which is the random part of most.</summary>
internal static class ShortId
{
    public static string Of(Guid id) => id.ToString()[^6..];
}
