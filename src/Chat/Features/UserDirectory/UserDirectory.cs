using Chat.Hosting;
using Chat.Json;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tokens;
using JasperFx;
using Marten;
using Microsoft.Extensions.Caching.Memory;
using Npgsql;
using NpgsqlTypes;

namespace Chat.Features;

/// <summary>
/// Who is who: names and pictures as the users' own tokens tell them, the newest of them. Usernames are unique, in whatever
/// spelling (see <see cref="Username"/>), first come, first served unless <c>Directory:Names</c> says otherwise; a newcomer whose
/// name is taken has none. Feeds the members of a conversation and finds people by username.
/// </summary>
public sealed class UserDirectorySlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<UserDirectory>();
        slice.Services.AddSingleton<Usernames>();
        slice.ObserveIdentities<UserDirectory>()
            .MapModule<UsernameModule>()
            .ConfigureMarten(options => options.Schema.For<User>()
                .UniqueIndex(Marten.Schema.UniqueIndexType.DuplicatedField, user => user.UsernameKey!))
            .ConfigureMarten(options => options.Schema.For<UsernameForm>());
    }
}

/// <summary>What is known of a user.</summary>
public sealed record User
{
    /// <summary>The <c>sub</c> of their tokens.</summary>
    public required Guid Id { get; init; }

    /// <summary>Their username, if they have one that nobody had before.</summary>
    public string? Username { get; init; }

    /// <summary>What all spellings of the username have in common, and nobody else's has: see <see cref="Features.Username.Key"/>.</summary>
    public string? UsernameKey { get; init; }

    /// <summary>The name to show.</summary>
    public string? Name { get; init; }

    /// <summary>The URL of a picture.</summary>
    public string? Picture { get; init; }

    /// <summary>When the latest token was issued that this comes from.</summary>
    public DateTimeOffset ToldAt { get; init; }

    /// <summary>When the latest token was issued that claims the username. Nodes of earlier versions leave it out.</summary>
    public DateTimeOffset? NamedAt { get; init; }
}

/// <summary>Keeps the directory up to date from tokens, and looks people up in it.</summary>
internal sealed partial class UserDirectory(
    IDocumentStore store, NpgsqlDataSource database, TableNames tables, Usernames usernames, AuditLog audit, TimeProvider time, ILogger<UserDirectory> log) : IIdentityObserver, IDisposable
{
    /// <summary>The one answer to whoever names somebody who is not known, be it by id or by username.</summary>
    public static readonly ChatError NoSuchUser = ChatError.NotFound("User not found.");

    /// <summary>For so long nothing is asked for somebody whose token says what it said last. Another node may know better by then.</summary>
    private static readonly TimeSpan CacheExpiry = TimeSpan.FromSeconds(10);

    /// <summary>
    /// And for so long if the directory has all that the token says: it has nothing to gain any more. One that did not get its name may
    /// get it when an administrator has released that; and one that does not say when it was issued may be right again.
    /// </summary>
    private static readonly TimeSpan FullCacheExpiry = TimeSpan.FromMinutes(10);

    /// <summary>Whoever signs in has something else to wait for, and 5 s in all.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(0.5);

    /// <summary>
    /// People being stored at the same time, those included for whom nobody waits any more: when thousands of new ones come
    /// at once, they must not take all connections to the database from everybody else.
    /// </summary>
    internal const int MaxConcurrency = 8;

    private const int MaxAttempts = 5;

    private readonly SemaphoreSlim semaphore = new(MaxConcurrency);
    private readonly MemoryCache seen = new(new MemoryCacheOptions { SizeLimit = 100_000 });

    public async ValueTask OnSignedInAsync(Identity identity)
    {
        // By user, and not by what was said: a name that is changed back is a change, too.
        if (seen.TryGetValue(identity.Id, out Identity? latest) && (latest == identity || latest?.IssuedAt > identity.IssuedAt))
            return;
        var storing = StoreInTurnAsync(identity);
        try
        {
            var isInFull = await storing.WaitAsync(Timeout, time);
            seen.Set(identity.Id, identity, new MemoryCacheEntryOptions
            {
                Size = 1,
                // By the system's clock, the only one that the cache knows. It saves writes and decides nothing.
                AbsoluteExpirationRelativeToNow = isInFull && identity.IssuedAt != default ? FullCacheExpiry : CacheExpiry,
            });
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure))
        {
            // A sign-in must not fail for this; the next one tells the directory the same.
            NotStored(identity.Id, failure.Message);
            // It may still get there, or fail: nobody waits for it any more.
            _ = storing.ContinueWith(late => late.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    /// <summary>The id of the person with a username; null if there is nobody.</summary>
    public async Task<Guid?> FindAsync(string username)
    {
        if (Username.KeyOf(username) is not { } key)
            return null;
        await using var session = store.QuerySession();
        return (await session.Query<User>().FirstOrDefaultAsync(user => user.UsernameKey == key))?.Id;
    }

    /// <summary>Whether somebody with this id has ever signed in.</summary>
    public async ValueTask<bool> KnowsAsync(Guid userId)
    {
        if (seen.TryGetValue(userId, out _))
            return true;
        await using var session = store.QuerySession();
        return await session.LoadAsync<User>(userId) is not null;
    }

    /// <summary>The person that a request names by id or by username.</summary>
    /// <returns>The id, or the error to answer with.</returns>
    public async Task<(Guid UserId, ChatError? Error)> ResolveAsync(Guid? userId, string? username)
    {
        if (userId is { } id && username is null)
            return id == Guid.Empty ? (default, ChatError.Invalid("userId", "Not a user's id.")) : (id, null);
        if (userId is not null || string.IsNullOrWhiteSpace(username))
            return (default, ChatError.Invalid(username is null ? "userId" : "username", "Name one person, by userId or by username."));
        return await FindAsync(username) is { } found ? (found, null) : (default, NoSuchUser);
    }

    /// <summary>Makes a username free, whoever has it.</summary>
    /// <returns>Who had it; null if nobody did.</returns>
    public async Task<Guid?> ReleaseAsync(Username name)
    {
        var had = await ChangeAsync(Guid.Empty, (session, _) => Usernames.ReleaseAsync(session, name));
        if (had is { } userId)
            seen.Remove(userId);
        return had;
    }

    /// <summary>Gives a user a username, whoever has it. They are known from then on.</summary>
    /// <returns>False if somebody else has one that looks like it.</returns>
    public async Task<bool> MoveAsync(Username name, Guid userId)
    {
        var isTheirs = await ChangeAsync(userId, async (session, known) =>
        {
            if (!await usernames.MoveAsync(session, userId, Username.Read(known?.Username), name))
                return false;
            session.Store((known ?? new User { Id = userId }) with { Username = name.Text, UsernameKey = name.Key, NamedAt = time.GetWireNow() });
            return true;
        });
        seen.Remove(userId);
        return isTheirs;
    }

    public void Dispose()
    {
        seen.Dispose();
        semaphore.Dispose();
    }

    private async Task<bool> StoreInTurnAsync(Identity identity)
    {
        // A semaphore knows the time of the system alone, but a token that any clock may cancel.
        using (var patience = new CancellationTokenSource(Timeout, time))
        {
            try
            {
                await semaphore.WaitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException("Too many new people at once.");
            }
        }

        try
        {
            return await StoreAsync(identity);
        }
        finally
        {
            semaphore.Release();
        }
    }

    // Whether the directory says all that the token does, or what a newer one does.
    private async Task<bool> StoreAsync(Identity identity)
    {
        var claimed = Username.Read(identity.Username);
        // Without a lock first: what a token says is known already, nearly always.
        var stored = await LoadAsync(identity.Id);
        if (stored?.ToldAt > identity.IssuedAt || (stored is not null && await IsToldAsync(stored, Told(identity, stored, claimed, claimed))))
            return true;

        var isInFull = true;
        var takenFrom = await ChangeAsync<IReadOnlyCollection<Guid>>(identity.Id, async (session, known) =>
        {
            // Another device has shown a newer one meanwhile, here or on another node.
            if (known?.ToldAt > identity.IssuedAt)
                return [];
            var has = Username.Read(known?.Username);
            var (name, lost) = claimed is null ? (has, []) : await usernames.ClaimAsync(session, identity.Id, has, claimed, identity.IssuedAt);
            isInFull = claimed is null || claimed.Key == name?.Key;
            var wanted = Told(identity, known, claimed, name);
            if (wanted != known)
                session.Store(wanted);
            return lost;
        });
        foreach (var rival in takenFrom)
            audit.UsernameMoved(rival, identity.Id);
        return isInFull;
    }

    // Asked at most sign-ins, and a session of Marten's takes more than its one row.
    private async Task<User?> LoadAsync(Guid userId)
    {
        await using var command = database.CreateCommand($"select data from {tables.User} where id = $1");
        command.Parameters.Add(new() { Value = userId });
        await using var reader = await command.ExecuteReaderAsync();
        return await reader.ReadAsync() ? store.Options.Serializer().FromJson<User>(reader, 0) : null;
    }

    /// <summary>
    /// Whether a token says nothing new. One that is newer and says the same, as tokens do that are renewed every few minutes, only moves
    /// the times on: one statement, which does nothing if somebody else was quicker.
    /// </summary>
    private async Task<bool> IsToldAsync(User known, User told)
    {
        if (told == known)
            return true;
        if (told with { ToldAt = known.ToldAt, NamedAt = known.NamedAt } != known)
            return false;
        await using var command = database.CreateCommand($"update {tables.User} set data = $3 where id = $1 and data = $2");
        command.Parameters.Add(new() { Value = known.Id });
        command.Parameters.Add(new() { Value = store.Options.Serializer().ToJson(known), NpgsqlDbType = NpgsqlDbType.Jsonb });
        command.Parameters.Add(new() { Value = store.Options.Serializer().ToJson(told), NpgsqlDbType = NpgsqlDbType.Jsonb });
        return await command.ExecuteNonQueryAsync() > 0;
    }

    // A token without a name, or with one that cannot be a username, leaves the name as it is.
    private static User Told(Identity identity, User? known, Username? claimed, Username? name) => new()
    {
        Id = identity.Id,
        Username = name is null ? known?.Username : name.Text,
        UsernameKey = name is null ? known?.UsernameKey : name.Key,
        Name = identity.DisplayName is { } shown && Content.IsVisible(shown) ? shown : null,
        Picture = identity.Picture,
        ToldAt = identity.IssuedAt,
        NamedAt = name is not null && name.Key == claimed?.Key ? identity.IssuedAt : known?.NamedAt,
    };

    /// <summary>
    /// Changes what is known of a user, one change after the other, and again where others wanted the same name at the same time.
    /// </summary>
    private async Task<T> ChangeAsync<T>(Guid userId, Func<IDocumentSession, User?, Task<T>> change)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var session = store.LightweightSession();
                await session.BeginTransactionAsync(CancellationToken.None);
                const string Lock = "select 1 from (select pg_advisory_xact_lock(hashtextextended(?, 0))) as locked";
                _ = await session.QueryAsync<int>(Lock, $"{tables.Schema}.user {userId}");
                var result = await change(session, await session.LoadAsync<User>(userId));
                await session.SaveChangesAsync();
                return result;
            }
            catch (Exception failure) when (IsConflict(failure))
            {
                if (attempt == MaxAttempts)
                    throw new TimeoutException("Others want the same username.", failure);
            }
        }
    }

    private static bool IsConflict(Exception failure) => failure is DocumentAlreadyExistsException
        || (failure as PostgresException ?? failure.InnerException as PostgresException)
            is { SqlState: PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected };

    [LoggerMessage(244, LogLevel.Debug, "The directory could not take note of {UserId} ({Reason})")]
    private partial void NotStored(Guid userId, string reason);
}
