using Microsoft.Extensions.Logging.Abstractions;

namespace Chat.Telemetry;

/// <summary>The last lines of the log, kept in memory for who asks at the admin port: with the same levels as everywhere, and bounded.</summary>
[ProviderAlias("Recent")]
internal sealed class RecentLog(TimeProvider time) : ILoggerProvider
{
    /// <summary>How many there are at most.</summary>
    public const int Most = 500;

    private const int LongestEntry = 4000;
    private readonly TextLogFormat format = new(time);
    private readonly Queue<string> entries = new(Most);
    private readonly Lock gate = new();

    /// <summary>All of them, the oldest first.</summary>
    public IReadOnlyList<string> Entries
    {
        get
        {
            lock (gate)
                return [.. entries];
        }
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Dispose()
    {
        // Memory alone.
    }

    private void Add(string entry)
    {
        lock (gate)
        {
            if (entries.Count == Most)
                entries.Dequeue();
            entries.Enqueue(entry.Length > LongestEntry ? $"{entry.AsSpan(0, LongestEntry)} …" : entry);
        }
    }

    private sealed class Logger(RecentLog recent, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        // The rules for levels have been asked already.
        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            using var text = new StringWriter();
            recent.format.Write(new LogEntry<TState>(logLevel, category, eventId, state, exception, formatter), scopeProvider: null, text);
            recent.Add(text.ToString().TrimEnd());
        }
    }
}
