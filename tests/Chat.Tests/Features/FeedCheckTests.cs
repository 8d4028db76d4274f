using Chat.Features;
using Chat.Socket;
using Microsoft.Extensions.Time.Testing;
using Npgsql;

namespace Chat.Tests.Features;

/// <summary>The rule shared by all feed checks.</summary>
public sealed class FeedCheckTests : IDisposable
{
    private readonly NpgsqlDataSource database = NpgsqlDataSource.Create("Host=nobody");
    private readonly FeedCheck<string, long> check;

    public FeedCheckTests() => check = new(database);

    public void Dispose() => database.Dispose();

    [Fact]
    public void All_loaded_feeds_are_compared_in_chunks()
    {
        var feeds = Enumerable.Range(0, 2501).Select(_ => new UserFeed(Guid.NewGuid(), new Hub(), new FakeTimeProvider())).ToArray();
        foreach (var feed in feeds[1..])
            feed.Load([]);

        var parts = check.Begin(feeds).ToArray();

        Assert.Equal([1000, 1000, 500], parts.Select(part => part.Length));
        Assert.Equal(feeds[1..], parts.SelectMany(part => part));
    }

    [Fact]
    public void Only_what_is_behind_in_two_consecutive_checks_is_reported()
    {
        check.Begin([]);
        Assert.False(check.IsBehindAgain("a", 1, out _));
        Assert.False(check.IsBehindAgain("b", 5, out _));
        check.Begin([]);
        Assert.True(check.IsBehindAgain("a", 2, out var earlier));
        Assert.Equal(1, earlier);
        check.Begin([]);
        Assert.False(check.IsBehindAgain("b", 5, out _));
        Assert.True(check.IsBehindAgain("a", 3, out earlier));
        Assert.Equal(2, earlier);
    }
}
