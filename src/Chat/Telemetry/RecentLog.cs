namespace Chat.Telemetry;

/// <summary>The last lines of the log, kept in memory for who asks at the admin port: with the same levels as everywhere, and bounded.</summary>
[ProviderAlias("Recent")]
internal sealed class RecentLog(TimeProvider time) : ILoggerProvider
{
    /// <summary>How many there are at most.</summary>
    public const int Most = 500;

    private const int LongestEntry = 4000;
    private readonly Queue<Entry> entries = new(Most);
    private readonly Lock gate = new();

    /// <summary>All of them, the oldest first.</summary>
    public IReadOnlyList<string> Entries
    {
        get
        {
            Entry[] all;
            lock (gate)
                all = [.. entries];
            return [.. all.Select(entry => TextLogFormat.Head(entry.At, entry.Level, entry.Category, entry.Id) + entry.Body)];
        }
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Dispose()
    {
        // Memory alone.
    }

    private void Add(LogLevel level, string category, EventId id, string body)
    {
        var entry = new Entry(time.GetUtcNow(), level, category, id, body);
        lock (gate)
        {
            if (entries.Count == Most)
                entries.Dequeue();
            entries.Enqueue(entry);
        }
    }

    // A line is put together when somebody asks for it, which nearly nobody does, and not each time that something is logged.
    private readonly record struct Entry(DateTimeOffset At, LogLevel Level, string Category, EventId Id, string Body);

    private sealed class Logger(RecentLog recent, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        // The rules for levels have been asked already.
        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var body = TextLogFormat.Body(formatter(state, exception), exception);
            recent.Add(logLevel, category, eventId, body.Length > LongestEntry ? $"{body.AsSpan(0, LongestEntry)} …" : body);
        }
    }
}
