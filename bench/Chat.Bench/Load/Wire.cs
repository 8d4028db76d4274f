using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace Chat.Bench.Load;

/// <summary>What kind of frame the server has sent, as far as the generator cares.</summary>
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
/// Frames, read and written as bytes. A message's content begins with a mark (<c>#lane:number#</c>) by which it is
/// known again on the other side.
/// </summary>
internal static class Wire
{
    private const int LaneDigits = 6;
    private const int NumberDigits = 10;

    /// <summary>A frame as a client sends it: masked, with a mask that changes nothing.</summary>
    public static byte[] Frame(int opcode, ReadOnlySpan<byte> payload)
    {
        byte[] header = payload.Length < 126
            ? [(byte)(0x80 | opcode), (byte)(0x80 | payload.Length), 0, 0, 0, 0]
            : [(byte)(0x80 | opcode), 0x80 | 126, (byte)(payload.Length >> 8), (byte)payload.Length, 0, 0, 0, 0];
        return [.. header, .. payload];
    }

    /// <summary>The handshake, with the token in a header or, for the floor, the query.</summary>
    public static byte[] Upgrade(Uri node, string query, string? token) => Encoding.ASCII.GetBytes(
        $"GET /chat/ws{query} HTTP/1.1\r\nHost: {node.Authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + $"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{(token is null ? "" : $"Authorization: Bearer {token}\r\n")}\r\n");

    /// <summary>The kind of a frame, by its first <c>type</c> that is an event's name.</summary>
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

    /// <summary>Finds the mark in a frame that carries a message.</summary>
    public static bool TryReadMarker(ReadOnlySpan<byte> frame, out int lane, out long number)
    {
        (lane, number) = (0, 0);
        var at = frame.IndexOf("\"content\":\"#"u8);
        if (at < 0 || frame.Length < at + 12 + LaneDigits + 1 + NumberDigits)
            return false;
        var mark = frame[(at + 12)..];
        return Utf8Parser.TryParse(mark[..LaneDigits], out lane, out _)
            && Utf8Parser.TryParse(mark.Slice(LaneDigits + 1, NumberDigits), out number, out _);
    }

    /// <summary>A <c>message.send</c>, complete but for its number, which stands in it at three places.</summary>
    public sealed class SendFrame
    {
        private readonly byte[] bytes;
        private readonly int[] places;

        public SendFrame(string run, int lane, Guid conversation, int contentLength)
        {
            var blank = new string('0', NumberDigits);
            var content = string.Create(CultureInfo.InvariantCulture, $"#{lane:D6}:{blank}#").PadRight(contentLength, 'x');
            bytes = Frame(1, Encoding.UTF8.GetBytes(
                $$$"""{"type":"message.send","id":"{{{blank}}}","payload":{"conversationId":"{{{conversation}}}","content":"{{{content}}}","tempId":"{{{run}}}-{{{lane}}}-{{{blank}}}"}}"""));
            places =
            [
                bytes.AsSpan().IndexOf("\"id\":\""u8) + 6,
                bytes.AsSpan().IndexOf("\"content\":\"#"u8) + 12 + LaneDigits + 1,
                bytes.Length - 3 - NumberDigits,
            ];
        }

        /// <summary>The frame for this number; good until the next call.</summary>
        public ReadOnlySpan<byte> For(long number)
        {
            foreach (var place in places)
            {
                var rest = number;
                for (var digit = NumberDigits - 1; digit >= 0; digit--, rest /= 10)
                    bytes[place + digit] = (byte)('0' + (rest % 10));
            }

            return bytes;
        }
    }
}
