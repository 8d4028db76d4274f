using System.Diagnostics.CodeAnalysis;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// What the checks have in common that compare all of a node's feeds with the database. What is behind in two checks in
/// a row is lost; what is behind once may just be on its way, and is left alone.
/// </summary>
/// <typeparam name="TKey">What may be behind.</typeparam>
/// <typeparam name="TTarget">How far it ought to be.</typeparam>
internal sealed class FeedCheck<TKey, TTarget>(NpgsqlDataSource database)
    where TKey : notnull
{
    private const int MaxFeedsPerQuery = 1000;

    // More than for what somebody waits for; PostgreSQL itself ends it sooner, where it is heard.
    private const int Timeout = 5;

    private Dictionary<TKey, TTarget> before = [];
    private Dictionary<TKey, TTarget> now = [];

    /// <summary>
    /// Begins a check of all feeds: in parts, so that no array is a large object, which would be thrown away faster than
    /// those are collected, and no question to the database is a long one.
    /// </summary>
    public IEnumerable<UserFeed[]> Begin(IEnumerable<UserFeed> feeds)
    {
        (before, now) = (now, []);
        return feeds.Where(feed => feed.IsLoaded).Chunk(MaxFeedsPerQuery);
    }

    /// <summary>The question about one part.</summary>
    public NpgsqlCommand Ask(string sql)
    {
        var command = database.CreateCommand(sql);
        command.CommandTimeout = Timeout;
        return command;
    }

    /// <summary>Something is behind.</summary>
    /// <param name="key">What.</param>
    /// <param name="target">How far it ought to be.</param>
    /// <param name="earlier">How far it ought to have been at the check before.</param>
    /// <returns>Whether it was behind then, too.</returns>
    public bool IsBehindAgain(TKey key, TTarget target, [MaybeNullWhen(false)] out TTarget earlier)
    {
        now[key] = target;
        return before.TryGetValue(key, out earlier);
    }
}
