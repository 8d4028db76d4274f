using System.Runtime.InteropServices;
using System.Text.Json;
using Chat.Socket;
using Chat.Storage;

namespace Chat.Features;

/// <summary>
/// One <see cref="SyncConversation"/>, encoded message by message, so that it is cut where the frame would be too large. However
/// many of them are left out as pushed already, nothing is encoded twice, nor under a lock.
/// </summary>
internal sealed class SyncAnswer
{
    /// <summary>The messages of an answer, at most.</summary>
    public const int MaxMessages = 200;

    /// <summary>The bytes of a frame, unless its only message is longer.</summary>
    public const int MaxBytes = 256 * 1024;

    // The envelope, with an id, and the names of the fields.
    private const int Around = 1024;
    private static readonly byte[] Before = "{\"conversation\":"u8.ToArray();
    private static readonly byte[] Between = ",\"messages\":["u8.ToArray();
    private static readonly byte[] Comma = ","u8.ToArray();
    private static readonly byte[] End = "],\"hasMore\":false}"u8.ToArray();
    private static readonly byte[] EndWithMore = "],\"hasMore\":true}"u8.ToArray();

    private readonly byte[] conversation;
    private readonly List<byte[]> encoded = [];

    private SyncAnswer(byte[] conversation) => this.conversation = conversation;

    /// <summary>What is in it.</summary>
    public List<Message> Messages { get; } = [];

    /// <summary>Whether there is something behind it.</summary>
    public bool HasMore { get; private set; }

    /// <summary>The answer for a user.</summary>
    /// <param name="view">The conversation.</param>
    /// <param name="found">What lies past the user's number, as far as <see cref="MissedChanges.LoadAsync"/> goes.</param>
    /// <param name="seq">Up to here there was something to find.</param>
    /// <param name="userId">Who asks.</param>
    public static SyncAnswer Of(ConversationView view, IEnumerable<Message> found, long seq, Guid userId)
    {
        var answer = new SyncAnswer(JsonSerializer.SerializeToUtf8Bytes(view, FeatureJson.Wire.ConversationView));
        var bytes = answer.conversation.Length + Around;
        foreach (var message in found)
        {
            var own = JsonSerializer.SerializeToUtf8Bytes(message.For(userId), StorageJson.Wire.Message);
            bytes += own.Length + Comma.Length;
            answer.HasMore = answer.Messages.Count == MaxMessages || (answer.Messages.Count > 0 && bytes > MaxBytes);
            if (answer.HasMore)
                return answer;
            answer.Messages.Add(message);
            answer.encoded.Add(own);
        }

        // The database measures its own text, and may have stopped before the frame was full.
        answer.HasMore = answer.Messages.Count > 0 && answer.Messages[^1].ChangedSeq < seq;
        return answer;
    }

    /// <summary>The frame with the first of the messages.</summary>
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
