using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace Chat.Telemetry;

/// <summary>Identifies this node in its log: the machine, or pod, and the process.</summary>
internal static class NodeName
{
    /// <summary>For example <c>chat-7f9c-1</c>.</summary>
    public static string Own { get; } = string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName}-{Environment.ProcessId}");
}

/// <summary>
/// One line per entry, for people: time (UTC, milliseconds), level, node, category with event id, and message. An exception
/// follows on its own lines.
/// </summary>
internal sealed class TextLogFormat(TimeProvider time) : ConsoleFormatter(FormatName)
{
    public const string FormatName = "text";

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        textWriter.Write(Head(time.GetUtcNow(), logEntry.LogLevel, logEntry.Category, logEntry.EventId));
        textWriter.WriteLine(Body(logEntry.Formatter(logEntry.State, logEntry.Exception), logEntry.Exception));
    }

    /// <summary>Formats the part of an entry before its message.</summary>
    public static string Head(DateTimeOffset at, LogLevel level, string category, EventId id) =>
        string.Create(CultureInfo.InvariantCulture, $"{LogFormat.Of(at)} {LogFormat.LevelOf(level)} {NodeName.Own} {category}[{id.Id}] ");

    /// <summary>Formats the message and its exception.</summary>
    public static string Body(string text, Exception? exception)
    {
        // Prevents log injection: a line break in client input must not look like another entry.
        var line = text.ReplaceLineEndings(" ");
        return exception is null ? line : $"{line}{Environment.NewLine}{exception}";
    }
}

/// <summary>One JSON object per entry, for programs; selected by <c>Logging:Console:FormatterName=json</c>.</summary>
internal sealed class JsonLogFormat(TimeProvider time) : ConsoleFormatter(ConsoleFormatterNames.Json)
{
    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            json.WriteString("Timestamp", LogFormat.Of(time.GetUtcNow()));
            json.WriteString("LogLevel", $"{logEntry.LogLevel}");
            json.WriteString("Node", NodeName.Own);
            json.WriteString("Category", logEntry.Category);
            json.WriteNumber("EventId", logEntry.EventId.Id);
            json.WriteString("Message", logEntry.Formatter(logEntry.State, logEntry.Exception));
            if (logEntry.Exception is { } failure)
                json.WriteString("Exception", failure.ToString());
            if (logEntry.State is IReadOnlyList<KeyValuePair<string, object?>> { Count: > 0 } state)
            {
                json.WriteStartObject("State");
                foreach (var (name, value) in state)
                    json.WriteString(name, Convert.ToString(value, CultureInfo.InvariantCulture));
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        textWriter.WriteLine(Encoding.UTF8.GetString(bytes.ToArray()));
    }
}

/// <summary>Common parts of both formats, and their registration.</summary>
internal static class LogFormat
{
    /// <summary>Replaces the framework's JSON format, which lacks time and node, and makes text the default.</summary>
    public static void AddLogFormats(this WebApplicationBuilder builder)
    {
        // Of two formatters with the same name the first one wins.
        builder.Services.Insert(0, ServiceDescriptor.Singleton<ConsoleFormatter, JsonLogFormat>());
        builder.Services.Insert(0, ServiceDescriptor.Singleton<ConsoleFormatter, TextLogFormat>());
        builder.Services.PostConfigure<ConsoleLoggerOptions>(console => console.FormatterName ??= TextLogFormat.FormatName);
    }

    public static string Of(DateTimeOffset utc) => utc.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static string LevelOf(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info ",
        LogLevel.Warning => "warn ",
        LogLevel.Error => "error",
        _ => "fatal",
    };
}
