using Chat.Socket;
using Chat.Storage;
using Chat.Tokens;
using JasperFx;
using Marten;
using Microsoft.Extensions.Caching.Memory;

namespace Chat.Features;

/// <summary>
/// Who is who: names and pictures as the users' own tokens tell them. Usernames are unique without regard to case,
/// first come, first served; a newcomer whose name is taken has none. Feeds the members of a conversation and finds
/// people by username.
/// </summary>
public sealed class UserDirectorySlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice)
    {
        slice.Services.AddSingleton<UserDirectory>();
        slice.ObserveIdentities<UserDirectory>()
            .Documents(options => options.Schema.For<User>()
                .UniqueIndex(Marten.Schema.UniqueIndexType.DuplicatedField, user => user.UsernameKey!));
    }
}

/// <summary>What is known of a user.</summary>
public sealed record User
{
    /// <summary>The <c>sub</c> of their tokens.</summary>
    public required Guid Id { get; init; }

    /// <summary>Their username, if they have one that nobody had before.</summary>
    public string? Username { get; init; }

    /// <summary>The username in lower case: what is unique.</summary>
    public string? UsernameKey { get; init; }

    /// <summary>The name to show.</summary>
    public string? Name { get; init; }

    /// <summary>The URL of a picture.</summary>
    public string? Picture { get; init; }
}

/// <summary>Keeps the directory up to date from tokens, and looks people up in it.</summary>
internal sealed partial class UserDirectory(IDocumentStore store, TimeProvider time, ILogger<UserDirectory> log) : IIdentityObserver, IDisposable
{
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    /// <summary>Whoever signs in has something else to wait for, and 5 s in all.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(0.5);

    /// <summary>
    /// People being stored at the same time, those included for whom nobody waits any more: when thousands of new ones come
    /// at once, they must not take all connections to the database from everybody else.
    /// </summary>
    internal const int AtOnce = 8;

    private readonly SemaphoreSlim turns = new(AtOnce);
    private readonly MemoryCache seen = new(new MemoryCacheOptions { SizeLimit = 100_000 });

    public async ValueTask SeenAsync(Identity identity)
    {
        // By user, and not by what was said: a name that is changed back is a change, too.
        if (seen.TryGetValue(identity.Id, out Identity? latest) && latest == identity)
            return;
        var storing = StoreInTurnAsync(identity);
        try
        {
            await storing.WaitAsync(Patience, time);
            seen.Set(identity.Id, identity, new MemoryCacheEntryOptions
            {
                Size = 1,
                // By the system's clock, the only one that the cache knows. It saves writes and decides nothing.
                AbsoluteExpirationRelativeToNow = Remembered,
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
        if (!WireText.IsClean(username))
            return null;
        var key = KeyOf(username);
        await using var session = store.QuerySession();
        return (await session.Query<User>().FirstOrDefaultAsync(user => user.UsernameKey == key))?.Id;
    }

    /// <summary>The person that a request names by id or by username.</summary>
    /// <returns>The id, or the error to answer with.</returns>
    public async Task<(Guid UserId, ChatError? Error)> ResolveAsync(Guid? userId, string? username)
    {
        if (userId is { } id && username is null)
            return id == Guid.Empty ? (default, ChatError.Invalid("userId", "Not a user's id.")) : (id, null);
        if (userId is not null || string.IsNullOrWhiteSpace(username))
            return (default, ChatError.Invalid(username is null ? "userId" : "username", "Name one person, by userId or by username."));
        return await FindAsync(username) is { } found ? (found, null) : (default, ChatError.Missing("There is nobody with this username."));
    }

    public void Dispose()
    {
        seen.Dispose();
        turns.Dispose();
    }

    private async Task StoreInTurnAsync(Identity identity)
    {
        // A semaphore knows the time of the system alone, but a token that any clock may cancel.
        using (var patience = new CancellationTokenSource(Patience, time))
        {
            try
            {
                await turns.WaitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException("Too many new people at once.");
            }
        }

        try
        {
            await StoreAsync(identity);
        }
        finally
        {
            turns.Release();
        }
    }

    private async Task StoreAsync(Identity identity)
    {
        await using var session = store.LightweightSession();
        var known = await session.LoadAsync<User>(identity.Id);
        var wanted = new User
        {
            Id = identity.Id,
            Username = identity.Username,
            UsernameKey = identity.Username is null ? null : KeyOf(identity.Username),
            Name = identity.DisplayName,
            Picture = identity.Picture,
        };
        if (wanted == known)
            return;
        try
        {
            session.Store(wanted);
            await session.SaveChangesAsync();
        }
        catch (Exception failure) when (IsNameTaken(failure))
        {
            // Looked up once more, because it may be another device of theirs that has just taken the name.
            await using var again = store.LightweightSession();
            known = await again.LoadAsync<User>(identity.Id);
            again.Store(wanted with { Username = known?.Username, UsernameKey = known?.UsernameKey });
            await again.SaveChangesAsync();
        }
    }

    private static string KeyOf(string username) => username.Trim().ToLowerInvariant();

    private static bool IsNameTaken(Exception failure) =>
        (failure as Npgsql.PostgresException ?? failure.InnerException as Npgsql.PostgresException) is { SqlState: Npgsql.PostgresErrorCodes.UniqueViolation }
        || failure is DocumentAlreadyExistsException;

    [LoggerMessage(LogLevel.Warning, "The directory could not take note of {UserId} ({Reason})")]
    private partial void NotStored(Guid userId, string reason);
}
