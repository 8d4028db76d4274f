using System.Diagnostics.CodeAnalysis;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// The common part of the checks that compare all feeds of a node with the database. What is behind in two consecutive checks
/// is lost; what is behind only once may still be in flight.
/// </summary>
/// <typeparam name="TKey">Identifies what may be behind.</typeparam>
/// <typeparam name="TTarget">The position in the database.</typeparam>
internal sealed class FeedCheck<TKey, TTarget>(NpgsqlDataSource database)
    where TKey : notnull
{
    private const int MaxFeedsPerQuery = 1000;

    // Seconds. Longer than for requests, which users wait for; PostgreSQL's own statement timeout usually ends it earlier.
    private const int Timeout = 5;

    private Dictionary<TKey, TTarget> before = [];
    private Dictionary<TKey, TTarget> now = [];

    /// <summary>
    /// Begins a check of all feeds, in chunks: no array reaches the large object heap, and no query runs for long.
    /// </summary>
    public IEnumerable<UserFeed[]> Begin(IEnumerable<UserFeed> feeds)
    {
        (before, now) = (now, []);
        return feeds.Where(feed => feed.IsLoaded).Chunk(MaxFeedsPerQuery);
    }

    /// <summary>Creates the command for one chunk.</summary>
    public NpgsqlCommand Ask(string sql)
    {
        var command = database.CreateCommand(sql);
        command.CommandTimeout = Timeout;
        return command;
    }

    /// <summary>Records that something is behind.</summary>
    /// <param name="key">Identifies it.</param>
    /// <param name="target">The position in the database.</param>
    /// <param name="earlier">The position in the database at the previous check.</param>
    /// <returns>Whether it was behind at the previous check, too.</returns>
    public bool IsBehindAgain(TKey key, TTarget target, [MaybeNullWhen(false)] out TTarget earlier)
    {
        now[key] = target;
        return before.TryGetValue(key, out earlier);
    }
}
