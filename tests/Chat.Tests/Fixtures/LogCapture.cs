using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Fixtures;

/// <summary>Captures a node's log from now on; warnings and worse by default.</summary>
public sealed class LogCapture : ILoggerProvider
{
    private readonly ConcurrentQueue<(string Category, string Line)> lines = new();

    private readonly LogLevel from;

    private LogCapture(LogLevel from) => this.from = from;

    public static LogCapture Of(ChatApp app, LogLevel from = LogLevel.Warning)
    {
        var capture = new LogCapture(from);
        app.Services.GetRequiredService<ILoggerFactory>().AddProvider(capture);
        return capture;
    }

    /// <summary>Returns the entries of this category.</summary>
    public IReadOnlyList<string> Of<TType>() => Of(typeof(TType).FullName!);

    /// <summary>Returns the entries of this category, for loggers that are not named after a type.</summary>
    public IReadOnlyList<string> Of(string category) => [.. lines.Where(line => line.Category == category).Select(line => line.Line)];

    /// <summary>Returns the entries of all categories.</summary>
    public IReadOnlyList<string> All => [.. lines.Select(line => $"{line.Category}: {line.Line}")];

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, from, lines);

    public void Dispose()
    {
        // The logger factory disposes it with the host; captured entries stay readable.
    }

    private sealed class Logger(string category, LogLevel from, ConcurrentQueue<(string Category, string Line)> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= from;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                lines.Enqueue((category, formatter(state, exception)));
        }
    }
}
