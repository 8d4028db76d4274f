using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Fixtures;

/// <summary>What a node logs from now on, warnings and worse.</summary>
public sealed class LogCapture : ILoggerProvider
{
    private readonly ConcurrentQueue<(string Category, string Line)> lines = new();

    private LogCapture()
    {
    }

    public static LogCapture Of(ChatApp app)
    {
        var capture = new LogCapture();
        app.Services.GetRequiredService<ILoggerFactory>().AddProvider(capture);
        return capture;
    }

    /// <summary>What this type has logged.</summary>
    public IReadOnlyList<string> Of<TType>() => [.. lines.Where(line => line.Category == typeof(TType).FullName).Select(line => line.Line)];

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, lines);

    public void Dispose()
    {
        // The logger factory disposes of it with the host; what was captured stays readable.
    }

    private sealed class Logger(string category, ConcurrentQueue<(string Category, string Line)> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                lines.Enqueue((category, formatter(state, exception)));
        }
    }
}
