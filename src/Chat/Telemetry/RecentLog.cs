namespace Chat.Telemetry;

/// <summary>Keeps the latest log entries in memory for the admin port; bounded, and with the same levels as other providers.</summary>
[ProviderAlias("Recent")]
internal sealed class RecentLog(TimeProvider time) : ILoggerProvider
{
    /// <summary>The maximum number of entries.</summary>
    public const int Capacity = 500;

    private const int MaxEntryLength = 4000;
    private readonly Queue<Entry> entries = new(Capacity);
    private readonly Lock gate = new();

    /// <summary>All entries, the oldest first.</summary>
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
        // Nothing to release.
    }

    private void Add(LogLevel level, string category, EventId id, string body)
    {
        var entry = new Entry(time.GetUtcNow(), level, category, id, body);
        lock (gate)
        {
            if (entries.Count == Capacity)
                entries.Dequeue();
            entries.Enqueue(entry);
        }
    }

    // Formatted when read, which is rare, and not when logged.
    private readonly record struct Entry(DateTimeOffset At, LogLevel Level, string Category, EventId Id, string Body);

    private sealed class Logger(RecentLog recent, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        // The factory has applied the level rules already.
        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var body = TextLogFormat.Body(formatter(state, exception), exception);
            recent.Add(logLevel, category, eventId, body.Length > MaxEntryLength ? $"{body.AsSpan(0, MaxEntryLength)} …" : body);
        }
    }
}
