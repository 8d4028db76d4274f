using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Chat.Telemetry;

/// <summary>
/// Log levels set by an operator at run time, which override the configured ones until they expire or are reset. The audit
/// log keeps its configured level: it cannot be switched off by a call.
/// </summary>
internal sealed class LevelOverrides(TimeProvider time)
    : IPostConfigureOptions<LoggerFilterOptions>, IOptionsChangeTokenSource<LoggerFilterOptions>, IDisposable
{
    /// <summary>The maximum number of overrides.</summary>
    public const int MaxOverrides = 20;

    /// <summary>Stands for all categories without an override of their own.</summary>
    public const string Default = "Default";

    /// <summary>The category that cannot be overridden.</summary>
    public static readonly string Audit = AuditLog.Category;

    private readonly Lock gate = new();
    private readonly Dictionary<string, Entry> entries = new(StringComparer.OrdinalIgnoreCase);
    private CancellationTokenSource change = new();

    /// <inheritdoc/>
    public string Name => Options.DefaultName;

    /// <summary>The current overrides.</summary>
    public IReadOnlyList<LevelOverride> All
    {
        get
        {
            lock (gate)
                return [.. entries.Values.Select(entry => entry.Override).OrderBy(current => current.Category, StringComparer.Ordinal)];
        }
    }

    /// <summary>Sets the level of a category and of its subcategories.</summary>
    /// <param name="category">The category; <see cref="Default"/> for the rest.</param>
    /// <param name="level">The minimum level that is logged.</param>
    /// <param name="duration">How long; null until it is reset.</param>
    /// <param name="expired">Called when the override expires.</param>
    /// <returns>The override; null if there are too many.</returns>
    public LevelOverride? TrySet(string category, LogLevel level, TimeSpan? duration, Action expired)
    {
        var entry = new Entry(new LevelOverride(category, level, duration is { } lasting ? time.GetUtcNow() + lasting : null));
        lock (gate)
        {
            if (!entries.ContainsKey(category) && entries.Count >= MaxOverrides)
                return null;
            if (entries.Remove(category, out var replaced))
                replaced.Dispose();
            entries.Add(category, entry);
            if (duration is { } due)
                entry.Timer = time.CreateTimer(_ => Expire(category, entry, expired), null, due, Timeout.InfiniteTimeSpan);
        }

        Apply();
        return entry.Override;
    }

    /// <summary>Removes a category's override.</summary>
    /// <returns>False if there is none.</returns>
    public bool TryReset(string category)
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
        // Rules that name a provider take precedence over those that do not, so such a provider gets its own copies.
        var configured = options.Rules.ToArray();
        foreach (var provider in configured.Select(rule => rule.ProviderName).Append(null).Distinct())
        {
            foreach (var rule in provider is null ? [] : MoreSpecificRules(provider, configured, set))
                options.Rules.Add(new LoggerFilterRule(provider, rule.CategoryName, rule.LogLevel, rule.Filter));
            foreach (var one in set)
                options.Rules.Add(new LoggerFilterRule(provider, CategoryOf(one), one.Level, filter: null));
            options.Rules.Add(
                new LoggerFilterRule(provider, Audit, LevelOf(Audit, provider, configured) ?? options.MinLevel, filter: null));
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

    // The framework's precedence: the provider's own rules first, then the longest category, then the last rule.
    private static LogLevel? LevelOf(string category, string? provider, IEnumerable<LoggerFilterRule> rules) => rules
        .Where(rule => (rule.ProviderName is null || rule.ProviderName == provider) && Matches(rule.CategoryName, category))
        .OrderBy(rule => rule.ProviderName is not null).ThenBy(rule => rule.CategoryName?.Length ?? 0)
        .LastOrDefault()?.LogLevel;

    // Configured for all providers and more specific than an override: they applied to this provider, and still must.
    private static IEnumerable<LoggerFilterRule> MoreSpecificRules(
        string provider, IReadOnlyCollection<LoggerFilterRule> rules, IReadOnlyList<LevelOverride> set) =>
        from rule in rules
        where rule.ProviderName is null && rule.CategoryName is not null
        where set.Any(one => Matches(CategoryOf(one), rule.CategoryName!))
        where !rules.Any(own => own.ProviderName == provider && Matches(own.CategoryName, rule.CategoryName!))
        select rule;

    private static bool Matches(string? rule, string category) =>
        rule is null || category.StartsWith(rule, StringComparison.OrdinalIgnoreCase);

    private static string? CategoryOf(LevelOverride one) =>
        one.Category.Equals(Default, StringComparison.OrdinalIgnoreCase) ? null : one.Category;

    private void Expire(string category, Entry entry, Action expired)
    {
        lock (gate)
        {
            // A new override may have replaced it meanwhile.
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
        CancellationTokenSource previous;
        lock (gate)
            (previous, change) = (change, new CancellationTokenSource());
        // Outside of the lock: the listeners read the levels.
        previous.Cancel();
        previous.Dispose();
    }

    private sealed class Entry(LevelOverride current) : IDisposable
    {
        public LevelOverride Override => current;

        public ITimer? Timer { get; set; }

        public void Dispose() => Timer?.Dispose();
    }
}

/// <summary>A log level set at run time.</summary>
/// <param name="Category">The category.</param>
/// <param name="Level">The minimum level that is logged.</param>
/// <param name="Until">When it expires; null if it does not.</param>
internal sealed record LevelOverride(string Category, LogLevel Level, DateTimeOffset? Until);
