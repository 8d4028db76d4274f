using System.Text.Json;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Observing;

/// <summary>Time, node and message in each entry, in both formats.</summary>
public sealed class LogFormatTests
{
    private readonly FakeTimeProvider clock = new(new DateTimeOffset(2026, 3, 1, 7, 14, 5, 67, TimeSpan.Zero));

    [Fact]
    public void A_text_entry_is_one_line_with_time_and_node() =>
        Assert.Equal($"2026-03-01T07:14:05.067Z warn  {NodeName.Own} Chat.Dependencies[100] PostgreSQL unavailable\n",
            Written(new TextLogFormat(clock), "PostgreSQL unavailable"));

    [Fact]
    public void Line_breaks_cannot_forge_an_audit_entry() =>
        Assert.Single(Written(new TextLogFormat(clock), "a\r\n2026 b").TrimEnd().Split('\n'));

    [Fact]
    public void JSON_entries_have_the_same_parts_as_separate_fields()
    {
        var entry = JsonDocument.Parse(Written(new JsonLogFormat(clock), "back after 23 s")).RootElement;

        Assert.Equal("2026-03-01T07:14:05.067Z", entry.Text("Timestamp"));
        Assert.Equal((NodeName.Own, "Warning", 100),
            (entry.Text("Node"), entry.Text("LogLevel"), entry.Number("EventId")));
        Assert.Equal("23", entry.Text("State.Seconds"));
    }

    private static string Written(ConsoleFormatter format, string text)
    {
        using var writer = new StringWriter { NewLine = "\n" };
        IReadOnlyList<KeyValuePair<string, object?>> state = [new("Seconds", 23)];
        format.Write(new LogEntry<IReadOnlyList<KeyValuePair<string, object?>>>(
            LogLevel.Warning, "Chat.Dependencies", new EventId(100), state, null, (_, _) => text), null, writer);
        return writer.ToString();
    }
}
