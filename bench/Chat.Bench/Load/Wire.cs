using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Chat.Bench.Load;

/// <summary>The kinds of server frames that the load generator distinguishes.</summary>
internal enum FrameKind
{
    Other,
    AuthSuccess,
    Sent,
    New,
    Updated,
    Unread,
    Pong,
    Error,
}

/// <summary>
/// Reads and writes frames as bytes. A message's content starts with a marker (<c>#stream:number#</c>) that identifies it at
/// the receiver.
/// </summary>
internal static class Wire
{
    private const int StreamDigits = 6;
    private const int NumberDigits = 10;

    /// <summary>Returns a client frame, with an all-zero mask.</summary>
    public static byte[] Frame(int opcode, ReadOnlySpan<byte> payload)
    {
        byte[] header = payload.Length < 126
            ? [(byte)(0x80 | opcode), (byte)(0x80 | payload.Length), 0, 0, 0, 0]
            : [(byte)(0x80 | opcode), 0x80 | 126, (byte)(payload.Length >> 8), (byte)payload.Length, 0, 0, 0, 0];
        return [.. header, .. payload];
    }

    /// <summary>Returns the upgrade request, with the token in a header or, for the floor server, in the query.</summary>
    public static byte[] Upgrade(Uri node, string query, string? token) => Encoding.ASCII.GetBytes(
        $"GET /chat/ws{query} HTTP/1.1\r\nHost: {node.Authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + "Sec-WebSocket-Version: 13\r\n"
        + $"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{(token is null ? "" : $"Authorization: Bearer {token}\r\n")}\r\n");

    /// <summary>Returns the kind of a frame, by the first <c>type</c> that is an event name.</summary>
    public static FrameKind KindOf(ReadOnlySpan<byte> frame)
    {
        while (frame.IndexOf("\"type\":\""u8) is >= 0 and var at)
        {
            frame = frame[(at + 8)..];
            if (frame.StartsWith("message.new\""u8))
                return FrameKind.New;
            if (frame.StartsWith("message.sent\""u8))
                return FrameKind.Sent;
            if (frame.StartsWith("conversation.updated\""u8))
                return FrameKind.Updated;
            if (frame.StartsWith("notification.unread\""u8))
                return FrameKind.Unread;
            if (frame.StartsWith("auth_success\""u8))
                return FrameKind.AuthSuccess;
            if (frame.StartsWith("pong\""u8))
                return FrameKind.Pong;
            if (frame.StartsWith("error\""u8) || frame.StartsWith("auth_failed\""u8))
                return FrameKind.Error;
            if (!frame.StartsWith("text\""u8))
                return FrameKind.Other;
        }

        return FrameKind.Other;
    }

    /// <summary>Reads the marker of a frame that contains a message.</summary>
    public static bool TryReadMarker(ReadOnlySpan<byte> frame, out int stream, out long number)
    {
        (stream, number) = (0, 0);
        var at = frame.IndexOf("\"content\":\"#"u8);
        if (at < 0 || frame.Length < at + 12 + StreamDigits + 1 + NumberDigits)
            return false;
        var marker = frame[(at + 12)..];
        return Utf8Parser.TryParse(marker[..StreamDigits], out stream, out _)
            && Utf8Parser.TryParse(marker.Slice(StreamDigits + 1, NumberDigits), out number, out _);
    }

    /// <summary>A template of a <c>message.send</c>; the message number is written at three offsets.</summary>
    public sealed class SendFrame
    {
        private readonly byte[] bytes;
        private readonly int[] offsets;

        public SendFrame(string run, int stream, Guid conversation, int contentLength)
        {
            var blank = new string('0', NumberDigits);
            var content = string.Create(CultureInfo.InvariantCulture, $"#{stream:D6}:{blank}#").PadRight(contentLength, 'x');
            var payload =
                $$$"""{"conversationId":"{{{conversation}}}","content":"{{{content}}}","tempId":"{{{run}}}-{{{stream}}}-{{{blank}}}"}""";
            bytes = Frame(1, Encoding.UTF8.GetBytes($$$"""{"type":"message.send","id":"{{{blank}}}","payload":{{{payload}}}}"""));
            offsets =
            [
                bytes.AsSpan().IndexOf("\"id\":\""u8) + 6,
                bytes.AsSpan().IndexOf("\"content\":\"#"u8) + 12 + StreamDigits + 1,
                bytes.Length - 3 - NumberDigits,
            ];
        }

        /// <summary>Returns the frame for a number; valid until the next call.</summary>
        public ReadOnlySpan<byte> WithNumber(long number)
        {
            foreach (var offset in offsets)
            {
                var remaining = number;
                for (var digit = NumberDigits - 1; digit >= 0; digit--, remaining /= 10)
                    bytes[offset + digit] = (byte)('0' + (remaining % 10));
            }

            return bytes;
        }
    }
}
