using System.Runtime.InteropServices;
using System.Text.Json;
using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// Builds a <see cref="SyncConversation"/> message by message, truncated where the frame would be too large. Messages that turn out
/// to be pushed already are left out without serializing anything again, or under a lock.
/// </summary>
internal sealed class SyncAnswer
{
    /// <summary>Most messages in one reply.</summary>
    public const int MaxMessages = 200;

    /// <summary>Most bytes in one frame, unless its only message is longer.</summary>
    public const int MaxBytes = 256 * 1024;

    // A bound on the envelope with its id and the field names, in bytes.
    private const int EnvelopeOverhead = 1024;
    private static readonly byte[] Before = "{\"conversation\":"u8.ToArray();
    private static readonly byte[] Between = ",\"messages\":["u8.ToArray();
    private static readonly byte[] Comma = ","u8.ToArray();
    private static readonly byte[] End = "],\"hasMore\":false}"u8.ToArray();
    private static readonly byte[] EndWithMore = "],\"hasMore\":true}"u8.ToArray();

    private readonly byte[] conversation;
    private readonly List<byte[]> encoded = [];

    private SyncAnswer(byte[] conversation) => this.conversation = conversation;

    /// <summary>The messages included.</summary>
    public List<Message> Messages { get; } = [];

    /// <summary>Whether more messages follow.</summary>
    public bool HasMore { get; private set; }

    /// <summary>Builds the reply for a user.</summary>
    /// <param name="view">The conversation.</param>
    /// <param name="found">The changes after the client's number, as loaded by <see cref="MissedChanges.LoadAsync"/>.</param>
    /// <param name="seq">The sequence number of the latest change.</param>
    /// <param name="userId">The user who syncs.</param>
    public static SyncAnswer Of(ConversationView view, IEnumerable<Message> found, long seq, Guid userId)
    {
        var answer = new SyncAnswer(JsonSerializer.SerializeToUtf8Bytes(view, FeatureJson.Wire.ConversationView));
        var bytes = answer.conversation.Length + EnvelopeOverhead;
        foreach (var message in found)
        {
            var json = JsonSerializer.SerializeToUtf8Bytes(message.For(userId), StorageJson.Wire.Message);
            bytes += json.Length + Comma.Length;
            answer.HasMore = answer.Messages.Count == MaxMessages || (answer.Messages.Count > 0 && bytes > MaxBytes);
            if (answer.HasMore)
                return answer;
            answer.Messages.Add(message);
            answer.encoded.Add(json);
        }

        // The query limits the size of its own text format and may have stopped before the frame was full.
        answer.HasMore = answer.Messages.Count > 0 && answer.Messages[^1].ChangedSeq < seq;
        return answer;
    }

    /// <summary>Builds the frame with the first messages.</summary>
    public Frame Frame(int messages, bool hasMore, string? id)
    {
        var parts = new List<ReadOnlyMemory<byte>>((2 * messages) + 4) { Before, conversation, Between };
        for (var i = 0; i < messages; i++)
        {
            if (i > 0)
                parts.Add(Comma);
            parts.Add(encoded[i]);
        }

        parts.Add(hasMore ? EndWithMore : End);
        return Socket.Frame.Of<SyncConversation>(id, CollectionsMarshal.AsSpan(parts));
    }
}
