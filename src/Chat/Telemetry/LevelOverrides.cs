using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Chat.Telemetry;

/// <summary>
/// Log levels that an operator has set while the node runs, over those that are configured, each for a time or until it is taken
/// back. The audit log keeps the level that is configured: nobody switches it off by a call.
/// </summary>
internal sealed class LevelOverrides(TimeProvider time) : IPostConfigureOptions<LoggerFilterOptions>, IOptionsChangeTokenSource<LoggerFilterOptions>, IDisposable
{
    /// <summary>The most there are at a time.</summary>
    public const int Most = 20;

    /// <summary>Stands for all categories that none of the others names.</summary>
    public const string Default = "Default";

    /// <summary>The category that is left alone.</summary>
    public static readonly string Audit = AuditLog.Category;

    private readonly Lock gate = new();
    private readonly Dictionary<string, Entry> entries = new(StringComparer.OrdinalIgnoreCase);
    private CancellationTokenSource change = new();

    /// <inheritdoc/>
    public string Name => Options.DefaultName;

    /// <summary>Those that are in force.</summary>
    public IReadOnlyList<LevelOverride> All
    {
        get
        {
            lock (gate)
                return [.. entries.Values.Select(entry => entry.Told).OrderBy(told => told.Category, StringComparer.Ordinal)];
        }
    }

    /// <summary>Sets the level of a category and of all below it.</summary>
    /// <param name="category">The category; <see cref="Default"/> for the rest.</param>
    /// <param name="level">The least level that is logged.</param>
    /// <param name="duration">How long; null until it is taken back.</param>
    /// <param name="expired">Called when its time is over.</param>
    /// <returns>What is in force now; null if there are too many already.</returns>
    public LevelOverride? TrySet(string category, LogLevel level, TimeSpan? duration, Action expired)
    {
        var entry = new Entry(new LevelOverride(category, level, duration is { } lasting ? time.GetUtcNow() + lasting : null));
        lock (gate)
        {
            if (!entries.ContainsKey(category) && entries.Count >= Most)
                return null;
            if (entries.Remove(category, out var former))
                former.Dispose();
            entries.Add(category, entry);
            if (duration is { } due)
                entry.Timer = time.CreateTimer(_ => Expire(category, entry, expired), null, due, Timeout.InfiniteTimeSpan);
        }

        Apply();
        return entry.Told;
    }

    /// <summary>Takes a category's back.</summary>
    /// <returns>False if there is none.</returns>
    public bool TryTakeBack(string category)
    {
        lock (gate)
        {
            if (!entries.Remove(category, out var entry))
                return false;
            entry.Dispose();
        }

        Apply();
        return true;
    }

    /// <inheritdoc/>
    public IChangeToken GetChangeToken()
    {
        lock (gate)
            return new CancellationChangeToken(change.Token);
    }

    /// <inheritdoc/>
    public void PostConfigure(string? name, LoggerFilterOptions options)
    {
        var set = All;
        if (set.Count == 0)
            return;
        // A rule that names a provider goes before all that name none, so a provider that has any gets these as its own.
        var configured = options.Rules.ToArray();
        foreach (var provider in configured.Select(rule => rule.ProviderName).Append(null).Distinct())
        {
            foreach (var rule in provider is null ? [] : LongerThanThese(provider, configured, set))
                options.Rules.Add(new LoggerFilterRule(provider, rule.CategoryName, rule.LogLevel, rule.Filter));
            foreach (var one in set)
                options.Rules.Add(new LoggerFilterRule(provider, CategoryOf(one), one.Level, filter: null));
            options.Rules.Add(new LoggerFilterRule(provider, Audit, LevelOf(Audit, provider, configured) ?? options.MinLevel, filter: null));
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            foreach (var entry in entries.Values)
                entry.Dispose();
            change.Dispose();
        }
    }

    // As the framework chooses: the provider's own rules first, then the longest category, then the last one.
    private static LogLevel? LevelOf(string category, string? provider, IEnumerable<LoggerFilterRule> rules) => rules
        .Where(rule => (rule.ProviderName is null || rule.ProviderName == provider) && Matches(rule.CategoryName, category))
        .OrderBy(rule => rule.ProviderName is not null).ThenBy(rule => rule.CategoryName?.Length ?? 0)
        .LastOrDefault()?.LogLevel;

    // What is configured for all providers and names a part of a category that is set now: it held for this provider, and still does.
    private static IEnumerable<LoggerFilterRule> LongerThanThese(string provider, IReadOnlyCollection<LoggerFilterRule> rules, IReadOnlyList<LevelOverride> set) =>
        from rule in rules
        where rule.ProviderName is null && rule.CategoryName is not null
        where set.Any(one => Matches(CategoryOf(one), rule.CategoryName!))
        where !rules.Any(own => own.ProviderName == provider && Matches(own.CategoryName, rule.CategoryName!))
        select rule;

    private static bool Matches(string? rule, string category) => rule is null || category.StartsWith(rule, StringComparison.OrdinalIgnoreCase);

    private static string? CategoryOf(LevelOverride one) => one.Category.Equals(Default, StringComparison.OrdinalIgnoreCase) ? null : one.Category;

    private void Expire(string category, Entry entry, Action expired)
    {
        lock (gate)
        {
            // Another one may have taken its place in the meantime.
            if (entries.GetValueOrDefault(category) != entry)
                return;
            entries.Remove(category);
            entry.Dispose();
        }

        Apply();
        expired();
    }

    private void Apply()
    {
        CancellationTokenSource told;
        lock (gate)
            (told, change) = (change, new CancellationTokenSource());
        // Outside of the lock: whoever hears of it comes back for the levels.
        told.Cancel();
        told.Dispose();
    }

    private sealed class Entry(LevelOverride told) : IDisposable
    {
        public LevelOverride Told => told;

        public ITimer? Timer { get; set; }

        public void Dispose() => Timer?.Dispose();
    }
}

/// <summary>A level that was set.</summary>
/// <param name="Category">The category.</param>
/// <param name="Level">The least level that is logged.</param>
/// <param name="Until">When it ends by itself; null if it does not.</param>
internal sealed record LevelOverride(string Category, LogLevel Level, DateTimeOffset? Until);
