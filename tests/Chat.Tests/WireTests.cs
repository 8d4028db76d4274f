using System.Text.Json;
using Chat.Json;

namespace Chat.Tests;

public sealed class WireTests
{
    private static readonly JsonSerializerOptions Options = new() { Converters = { new WireTime() } };

    [Theory]
    [InlineData("", true)]
    [InlineData("plain", true)]
    [InlineData("😀", true)]
    [InlineData("\u0001\u202E\uFFFF", true)]
    [InlineData("a\0", false)]
    public void Text_is_valid_without_U0000(string text, bool isClean) => Assert.Equal(isClean, WireText.IsClean(text));

    [Fact]
    public void Text_is_valid_without_lone_surrogates()
    {
        // Not as inline data: test arguments are transferred as UTF-8, which has no lone surrogates.
        var (high, low) = ('\ud83d', '\ude00');
        Assert.True(WireText.IsClean($"a{high}{low}b{high}{low}"));
        Assert.All([$"{high}", $"{low}", $"a{high}b", $"{low}{high}", $"{high}{high}{low}", $"{high}{low}{low}"],
            text => Assert.False(WireText.IsClean(text)));
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("abc", 3)]
    [InlineData("😀a😀", 3)]
    [InlineData("e\u0301", 2)]
    [InlineData("👩‍👩‍👧", 5)]
    public void Length_counts_scalar_values(string text, int length)
    {
        Assert.Equal(length, WireText.Length(text));
        Assert.Equal(text.EnumerateRunes().Count(), WireText.Length(text));
    }

    [Theory]
    [InlineData("2026-01-31T09:30:00.1239999Z", "2026-01-31T09:30:00.123Z")]
    [InlineData("2026-01-31T00:30:00+02:00", "2026-01-30T22:30:00.000Z")]
    [InlineData("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z")]
    [InlineData("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999Z")]
    public void Time_is_UTC_in_milliseconds(string time, string written)
    {
        var json = JsonSerializer.Serialize(DateTimeOffset.Parse(time, System.Globalization.CultureInfo.InvariantCulture), Options);

        Assert.Equal($"\"{written}\"", json);
        Assert.Equal(json, JsonSerializer.Serialize(JsonSerializer.Deserialize<DateTimeOffset>(json, Options), Options));
    }

    [Fact]
    public void The_current_wire_time_round_trips()
    {
        var now = TimeProvider.System.GetWireNow();

        Assert.Equal(now, JsonSerializer.Deserialize<DateTimeOffset>(JsonSerializer.Serialize(now, Options), Options));
        Assert.InRange(TimeProvider.System.GetUtcNow() - now, TimeSpan.Zero, TimeSpan.FromMinutes(1));
    }
}
