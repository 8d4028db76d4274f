using System.Text;
using CsCheck;

namespace Chat.Tests.Fuzz;

/// <summary>
/// Frames as a broken or hostile client might send them: a valid one with up to eight mutations that know JSON's structure. A
/// failure prints its seed; <c>CsCheck_Seed=…</c> repeats it, and <c>CsCheck_Iter=1000000</c> runs longer.
/// </summary>
internal static class Mutants
{
    public static readonly string[] Frames =
    [
        """{"type":"message.send","id":"a1","payload":{"conversationId":"66cf1f13-2b7e-4c53-8a51-9a0f4a6f3c11","content":"hello","tempId":"t1"}}""",
        """{"type":"message.read","payload":{"conversationId":"66cf1f13-2b7e-4c53-8a51-9a0f4a6f3c11","upTo":12}}""",
        """{"payload":{"conversations":{"66cf1f13-2b7e-4c53-8a51-9a0f4a6f3c11":4}},"type":"sync","id":"\u0061"}""",
        """{"type":"block.add","id":"b","payload":{"username":"\ud83d\ude00 bob"},"more":[1,{"a":null}]}""",
        """{"type":"ping","payload":{"timestamp":1e3}}""",
        """{"type":"typing.start","payload":{}}""",
    ];

    private static readonly byte[][] Pieces = [.. new[]
    {
        "\"", "\\", "\\u0000", "\\ud800", "\\udc00", "{", "}", "[", "]", ",", ":", "null", "true", "-", "1e999", "9223372036854775808",
            "0.1",
        "\"type\":", "\"id\":", "\"payload\":", "{}", "\"\"", "\u202E", "\uFEFF", " ", "\n", "/*", "//", "'", "\0",
    }.Select(Encoding.UTF8.GetBytes), [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x9F]];

    private static readonly Gen<(int Kind, int At, int What)> Edit =
        Gen.Select(Gen.Int[0, 5], Gen.Int[0, 1_000_000], Gen.Int[0, 1_000_000]);

    /// <summary>Mutated frames, some of which are still valid.</summary>
    public static readonly Gen<byte[]> Bytes = Of(Frames);

    public static Gen<byte[]> Of(params string[] good) =>
        Gen.Select(
            Gen.Int[0, good.Length - 1], Edit.Array[0, 8], (which, edits) => edits.Aggregate(Encoding.UTF8.GetBytes(good[which]), Apply));

    private static byte[] Apply(byte[] bytes, (int Kind, int At, int What) edit)
    {
        var at = edit.At % (bytes.Length + 1);
        var length = Math.Min(edit.What % 12, bytes.Length - at);
        var piece = Pieces[edit.What % Pieces.Length];
        return edit.Kind switch
        {
            0 => [.. bytes[..at], .. bytes[(at + length)..]],
            1 => [.. bytes[..at], .. bytes[at..(at + length)], .. bytes[at..]],
            2 or 3 => [.. bytes[..at], .. piece, .. bytes[at..]],
            4 => [.. bytes[..at], .. piece, .. bytes[(at + length)..]],
            _ when at < bytes.Length => [.. bytes[..at], (byte)(bytes[at] ^ (1 << (edit.What % 8))), .. bytes[(at + 1)..]],
            _ => bytes,
        };
    }
}
