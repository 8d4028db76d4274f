using System.Collections.Concurrent;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Json;
using Chat.Socket;
using Chat.Storage;
using Chat.Tokens;
using Marten;

namespace Chat.Features;

/// <summary>
/// Keeps all revocations in memory, because every token is checked against them. They are loaded from the database at startup,
/// received over the backplane, and polled from the database every two seconds to recover what the backplane has lost.
/// </summary>
internal sealed class Revocations(IDocumentStore store, TableNames tables, Hub hub, RedisBackplane backplane, IssuerClock issuer,
    TimeProvider time, ILogger<Revocations> log)
    : SupervisedBackgroundService(time, log), ITokenRevocations, INodeHandler<UserRevoked>
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<Guid, Revocation> revoked = new();

    protected override IEnumerable<(string Name, Func<CancellationToken, Task> Body)> Loops => [("revocation check", CheckAsync)];

    /// <inheritdoc/>
    public bool IsRevoked(Guid userId, DateTimeOffset issuedAt) =>
        revoked.TryGetValue(userId, out var revocation) && revocation.Voids(issuedAt);

    /// <inheritdoc/>
    public bool IsRevoked(TokenReadResult accepted) =>
        revoked.TryGetValue(accepted.Identity!.Id, out var revocation)
            && (accepted.ShownAt <= revocation.At || revocation.Voids(accepted.IssuedAt));

    /// <summary>Revokes a user's tokens on every node.</summary>
    public async Task RevokeAsync(Guid userId)
    {
        await using var session = store.LightweightSession();
        await session.BeginTransactionAsync(CancellationToken.None);
        // Serialized by the lock, so that numbers become visible in order and a poll cannot skip one.
        var databaseNow = DateTimeOffset.FromUnixTimeMilliseconds((await session.QueryAsync<long>(
            "select (extract(epoch from clock_timestamp()) * 1000)::bigint from (select pg_advisory_xact_lock(hashtextextended(?, 0))) as locked",
            $"{tables.Schema}.revocations")).Single());
        var number = (await session.QueryAsync<long>($"select coalesce(max(number), 0) + 1 from {tables.Revocation}")).Single();

        // A node whose clock is far ahead must not revoke tokens that will be issued in the next minutes.
        var at = Earlier(Time.GetWireNow(), databaseNow + JwtSettings.ClockSkew);
        var presented = (await session.LoadAsync<User>(userId))?.ToldAt ?? default;
        var until = Later(at + issuer.Ahead(userId), Earlier(presented, at + JwtSettings.ClockSkew));
        var revocation = new Revocation { Id = userId, At = at, Until = until, Number = number };
        session.Store(revocation);
        await session.SaveChangesAsync();
        Take(revocation);
        backplane.Publish(userId, new UserRevoked(at, until, number));
    }

    public void Handle(Guid userId, UserRevoked received) =>
        Take(new Revocation { Id = userId, At = received.At, Until = received.Until, Number = received.Number });

    private async Task CheckAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, Time);
        long? since = null;
        do
        {
            await using var session = store.QuerySession();
            var news = since is { } last
                ? await session.Query<Revocation>().Where(revocation => revocation.Number > last).ToListAsync(stopping)
                : await session.Query<Revocation>().ToListAsync(stopping);
            foreach (var revocation in news)
                Take(revocation);
            since = news.Select(revocation => revocation.Number).Append(since ?? 0).Max();
        }
        while (await timer.WaitForNextTickAsync(stopping));
    }

    private void Take(Revocation revocation)
    {
        // The later of two revocations wins, but never revokes less than the earlier one.
        var isNews = false;
        revoked.AddOrUpdate(
            revocation.Id,
            _ =>
            {
                isNews = true;
                return revocation;
            },
            (_, known) =>
            {
                isNews = revocation.Number > known.Number || revocation.At > known.At;
                return isNews ? revocation with
                {
                    At = Later(revocation.At, known.At),
                    Until = Later(revocation.Until ?? revocation.At, known.Until ?? known.At)
                } : known;
            });
        if (!isNews)
            return;
        foreach (var connection in hub.ConnectionsOf(revocation.Id))
        {
            if (connection.Token is { } token && IsRevoked(token))
                connection.Close(Disconnect.NotAuthorised);
        }
    }

    private static DateTimeOffset Later(DateTimeOffset first, DateTimeOffset second) => first > second ? first : second;

    private static DateTimeOffset Earlier(DateTimeOffset first, DateTimeOffset second) => first < second ? first : second;
}
