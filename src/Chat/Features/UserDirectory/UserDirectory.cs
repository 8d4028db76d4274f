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

namespace Chat.Features;

/// <summary>
/// Stores the profiles of users from the claims of their tokens; the newest token wins. Usernames are unique in every spelling
/// (see <see cref="Username"/>), first come, first served unless <c>Directory:Names</c> says otherwise; a new user whose name is
/// taken has none. Supplies the members of conversations and resolves usernames.
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

/// <summary>Keeps the directory up to date from tokens, and resolves users.</summary>
internal sealed partial class UserDirectory(
    IDocumentStore store, NpgsqlDataSource database, TableNames tables, Usernames usernames, AuditLog audit, TimeProvider time,
    ILogger<UserDirectory> log) : IIdentityObserver, IDisposable
{
    /// <summary>The error for an unknown user, named by id or by username.</summary>
    public static readonly ChatError NoSuchUser = ChatError.NotFound("User not found.");

    /// <summary>How long an unchanged token skips the database. Limited, because another node may have stored something newer.</summary>
    private static readonly TimeSpan CacheExpiry = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long it skips the database if the directory already has everything the token claims. Not for a user whose name was
    /// taken, because an administrator may release it, nor for a token without <c>iat</c>, which cannot be ordered.
    /// </summary>
    private static readonly TimeSpan FullCacheExpiry = TimeSpan.FromMinutes(10);

    /// <summary>Bounds the part of a sign-in, which has 5 s in all, that waits for the directory.</summary>
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(0.5);

    /// <summary>
    /// Most profiles stored concurrently, including those whose sign-in has stopped waiting: thousands of new users must not
    /// take all database connections.
    /// </summary>
    internal const int MaxConcurrency = 8;

    private const int MaxAttempts = 5;

    private readonly SemaphoreSlim semaphore = new(MaxConcurrency);
    private readonly MemoryCache seen = new(new MemoryCacheOptions { SizeLimit = 100_000 });

    public async ValueTask OnSignedInAsync(Identity identity)
    {
        // Keyed by user, not by content: changing a name back is a change as well.
        if (seen.TryGetValue(identity.Id, out Identity? latest) && (latest == identity || latest?.IssuedAt > identity.IssuedAt))
            return;
        var storing = StoreThrottledAsync(identity);
        try
        {
            var isComplete = await storing.WaitAsync(Timeout, time);
            seen.Set(identity.Id, identity, new MemoryCacheEntryOptions
            {
                Size = 1,
                // MemoryCache only knows the system clock. It only saves writes, so that is good enough.
                AbsoluteExpirationRelativeToNow = isComplete && identity.IssuedAt != default ? FullCacheExpiry : CacheExpiry,
            });
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure))
        {
            // A sign-in must not fail because of this; the next one stores the same.
            NotStored(identity.Id, failure.Message);
            // The write may still finish or fail: observe its exception, because nobody awaits it.
            _ = storing.ContinueWith(
                late => late.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    /// <summary>Returns the id of the user with a username; null if there is none.</summary>
    public async Task<Guid?> FindAsync(string username)
    {
        if (Username.KeyOf(username) is not { } key)
            return null;
        await using var session = store.QuerySession();
        return (await session.Query<User>().FirstOrDefaultAsync(user => user.UsernameKey == key))?.Id;
    }

    /// <summary>Returns whether a user with this id has ever signed in.</summary>
    public async ValueTask<bool> KnowsAsync(Guid userId)
    {
        if (seen.TryGetValue(userId, out _))
            return true;
        await using var session = store.QuerySession();
        return await session.LoadAsync<User>(userId) is not null;
    }

    /// <summary>Resolves the user that a request names by id or by username.</summary>
    /// <returns>The id, or the error.</returns>
    public async Task<Result<Guid>> ResolveAsync(Guid? userId, string? username)
    {
        if (userId is { } id && username is null)
            return id == Guid.Empty ? ChatError.Invalid("userId", "Not a user id.") : id;
        if (userId is not null || string.IsNullOrWhiteSpace(username))
            return ChatError.Invalid(username is null ? "userId" : "username", "Name the user by either userId or username.");
        return await FindAsync(username) is { } found ? found : NoSuchUser;
    }

    /// <summary>Releases a username, whoever has it.</summary>
    /// <returns>Its previous owner; null if there was none.</returns>
    public async Task<Guid?> ReleaseAsync(Username name)
    {
        var owner = await ChangeAsync(Guid.Empty, (session, _) => Usernames.ReleaseAsync(session, name));
        if (owner is { } userId)
            seen.Remove(userId);
        return owner;
    }

    /// <summary>Moves a username to a user, whoever has it. The user is created if unknown.</summary>
    /// <returns>False if another user has a confusable name.</returns>
    public async Task<bool> MoveAsync(Username name, Guid userId)
    {
        var isAssigned = await ChangeAsync(userId, async (session, known) =>
        {
            if (!await usernames.MoveAsync(session, userId, Username.Read(known?.Username), name))
                return false;
            session.Store(
                (known ?? new User { Id = userId }) with { Username = name.Text, UsernameKey = name.Key, NamedAt = time.GetWireNow() });
            return true;
        });
        seen.Remove(userId);
        return isAssigned;
    }

    public void Dispose()
    {
        seen.Dispose();
        semaphore.Dispose();
    }

    private async Task<bool> StoreThrottledAsync(Identity identity)
    {
        // SemaphoreSlim's own timeout uses the system clock; a cancellation token can use the injected one.
        using (var timeout = new CancellationTokenSource(Timeout, time))
        {
            try
            {
                await semaphore.WaitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException("Too many sign-ins of new users at once.");
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

    // Returns whether the directory has everything that this token, or a newer one, claims.
    private async Task<bool> StoreAsync(Identity identity)
    {
        var claimed = Username.Read(identity.Username);
        // Without a lock first: in most cases nothing has changed.
        var stored = await LoadAsync(identity.Id);
        if (stored?.ToldAt > identity.IssuedAt
            || (stored is not null && await IsStoredAsync(stored, Merge(identity, stored, claimed, claimed))))
            return true;

        var isComplete = true;
        var takenFrom = await ChangeAsync<IReadOnlyCollection<Guid>>(identity.Id, async (session, known) =>
        {
            // Another device has presented a newer token meanwhile, on this node or another.
            if (known?.ToldAt > identity.IssuedAt)
                return [];
            var current = Username.Read(known?.Username);
            var (name, lost) = claimed is null
                ? (current, []) : await usernames.ClaimAsync(session, identity.Id, current, claimed, identity.IssuedAt);
            isComplete = claimed is null || claimed.Key == name?.Key;
            var merged = Merge(identity, known, claimed, name);
            if (merged != known)
                session.Store(merged);
            return lost;
        });
        foreach (var rival in takenFrom)
            audit.UsernameMoved(rival, identity.Id);
        return isComplete;
    }

    // Runs at most sign-ins: cheaper than a Marten session.
    private async Task<User?> LoadAsync(Guid userId)
    {
        await using var command = database.CreateCommand($"select data from {tables.User} where id = $1").With(userId);
        await using var reader = await command.ExecuteReaderAsync();
        return await reader.ReadAsync() ? store.Options.Serializer().FromJson<User>(reader, 0) : null;
    }

    /// <summary>
    /// Returns whether a token changes nothing. A newer token with the same claims, as renewed every few minutes, only updates the
    /// timestamps, in one optimistic statement.
    /// </summary>
    private async Task<bool> IsStoredAsync(User known, User merged)
    {
        if (merged == known)
            return true;
        if (merged with { ToldAt = known.ToldAt, NamedAt = known.NamedAt } != known)
            return false;
        await using var command = database.CreateCommand($"update {tables.User} set data = $3 where id = $1 and data = $2")
            .With(known.Id).WithJson(store.Options.Serializer().ToJson(known)).WithJson(store.Options.Serializer().ToJson(merged));
        return await command.ExecuteNonQueryAsync() > 0;
    }

    // A token without a name, or with one that is not a valid username, keeps the current one.
    private static User Merge(Identity identity, User? known, Username? claimed, Username? name) => new()
    {
        Id = identity.Id,
        Username = name is null ? known?.Username : name.Text,
        UsernameKey = name is null ? known?.UsernameKey : name.Key,
        Name = identity.DisplayName is { } shown && Content.IsVisible(shown) ? shown : null,
        Picture = identity.Picture,
        ToldAt = identity.IssuedAt,
        NamedAt = name is not null && name.Key == claimed?.Key ? identity.IssuedAt : known?.NamedAt,
    };

    /// <summary>Changes a user under a lock of their own, and retries when users race for the same name.</summary>
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
                    throw new TimeoutException("Too many concurrent claims of the same username.", failure);
            }
        }
    }

    private static bool IsConflict(Exception failure) => failure is DocumentAlreadyExistsException
        || (failure as PostgresException ?? failure.InnerException as PostgresException)
            is { SqlState: PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected };

    [LoggerMessage(244, LogLevel.Debug, "Cannot store the profile of {UserId}; the next sign-in retries ({Reason})")]
    private partial void NotStored(Guid userId, string reason);
}
