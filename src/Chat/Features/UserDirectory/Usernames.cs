using Chat.Json;
using Marten;

namespace Chat.Features;

/// <summary>
/// A form that a username reserves (see <see cref="Username.Forms"/>), and its owner. The primary key alone prevents duplicates.
/// </summary>
public sealed record UsernameForm
{
    /// <summary>The id of the form.</summary>
    public required Guid Id { get; init; }

    /// <summary>The current or last owner of the name.</summary>
    public required Guid UserId { get; init; }

    /// <summary>The name that reserves it: see <see cref="Username.Key"/>.</summary>
    public required string Key { get; init; }

    /// <summary>When its owner changed to another name; null while they have it.</summary>
    public DateTimeOffset? FreedAt { get; init; }
}

/// <summary>The owner of a name that another user claims.</summary>
/// <param name="UserId">The owner.</param>
/// <param name="Key">The owner's name: the same, or a confusable one.</param>
/// <param name="NamedAt">The <c>iat</c> of the latest token that claims it for the owner; null if it was given up and is in
/// quarantine.</param>
internal sealed record UsernameHolder(Guid UserId, string Key, DateTimeOffset? NamedAt);

/// <summary>Assigns and releases usernames within the caller's transaction.</summary>
internal sealed class Usernames(IConfiguration configuration, TimeProvider time)
{
    /// <summary>How long a released name stays reserved: others still know its last owner by it.</summary>
    public static readonly TimeSpan QuarantinePeriod = TimeSpan.FromDays(30);

    private readonly bool latestWins = string.Equals(configuration["Directory:Names"], "latest", StringComparison.OrdinalIgnoreCase);

    /// <summary>Assigns the name that a user's token claims, if it is available or the setting lets the newest token win.</summary>
    /// <returns>The user's resulting name, and the users who have lost it.</returns>
    public async Task<(Username? Name, IReadOnlyCollection<Guid> TakenFrom)> ClaimAsync(
        IDocumentSession session, Guid userId, Username? current, Username wanted, DateTimeOffset issuedAt)
    {
        // A confusable name is never taken from its owner: that is what a spoofer would want.
        var (isAssigned, takenFrom) = await AssignAsync(
            session, userId, current, wanted, rival => latestWins && rival.Key == wanted.Key && !(rival.NamedAt >= issuedAt));
        return (isAssigned ? wanted : current, takenFrom);
    }

    /// <summary>Assigns a name to a user, whoever else has it.</summary>
    /// <returns>False if another user has a confusable name.</returns>
    public async Task<bool> MoveAsync(IDocumentSession session, Guid userId, Username? current, Username wanted) =>
        (await AssignAsync(session, userId, current, wanted, rival => rival.Key == wanted.Key)).IsAssigned;

    /// <summary>Releases a name without quarantine.</summary>
    /// <returns>Its previous owner; null if there was none.</returns>
    public static async Task<Guid?> ReleaseAsync(IDocumentSession session, Username name)
    {
        var holder = await session.Query<User>().FirstOrDefaultAsync(user => user.UsernameKey == name.Key);
        var forms = await LockAsync(session, [.. name.Forms, .. Username.Read(holder?.Username)?.Forms ?? []]);
        foreach (var form in forms.Where(form => form.Key == name.Key))
            session.Delete<UsernameForm>(form.Id);
        if (holder is not null)
            session.Store(holder with { Username = null, UsernameKey = null });
        return holder?.Id ?? forms.FirstOrDefault(form => form.Key == name.Key)?.UserId;
    }

    private async Task<(bool IsAssigned, IReadOnlyCollection<Guid> TakenFrom)> AssignAsync(
        IDocumentSession session, Guid userId, Username? current, Username wanted, Func<UsernameHolder, bool> mayBeTaken)
    {
        var holder = await session.Query<User>().FirstOrDefaultAsync(user => user.UsernameKey == wanted.Key && user.Id != userId);
        var old = current?.Forms ?? [];
        var locked = await LockAsync(session, [.. wanted.Forms, .. old, .. Username.Read(holder?.Username)?.Forms ?? []]);
        var forms = locked.ToDictionary(form => form.Id);
        var rivals =
            await RivalsAsync(session, userId, wanted.Forms.Select(id => forms.GetValueOrDefault(id)).OfType<UsernameForm>(), holder);
        if (!rivals.TrueForAll(rival => mayBeTaken(rival)))
            return (false, []);

        var now = time.GetWireNow();
        // The previous owner first: until their row is updated, the unique index rejects the new one.
        if (holder is not null)
            session.Store(holder with { Username = null, UsernameKey = null });
        var lost = forms.Values.Where(form => form.Key == wanted.Key && form.UserId != userId && !wanted.Forms.Contains(form.Id));
        foreach (var form in lost)
            session.Delete<UsernameForm>(form.Id);
        foreach (var id in wanted.Forms.Concat(old).Distinct().Order())
        {
            var form = forms.GetValueOrDefault(id);
            if (wanted.Forms.Contains(id))
                Put(session, form, new UsernameForm { Id = id, UserId = userId, Key = wanted.Key });
            else if (form is null || form.UserId == userId)
                Put(session, form, new UsernameForm { Id = id, UserId = userId, Key = current!.Key, FreedAt = form?.FreedAt ?? now });
        }

        return (true, rivals.ConvertAll(rival => rival.UserId));
    }

    private async Task<List<UsernameHolder>> RivalsAsync(
        IDocumentSession session, Guid userId, IEnumerable<UsernameForm> forms, User? holder)
    {
        var now = time.GetUtcNow();
        var others = forms.Where(form => form.UserId != userId && !(form.FreedAt + QuarantinePeriod <= now))
            .DistinctBy(form => (form.UserId, form.Key)).ToArray();
        var users = (await session.LoadManyAsync<User>(others.Select(form => form.UserId))).ToDictionary(user => user.Id);
        var rivals = others
            .Select(form =>
                new UsernameHolder(form.UserId, form.Key, form.FreedAt is null ? NamedAt(users.GetValueOrDefault(form.UserId)) : null))
            .ToList();
        // An owner whose name was stored before forms existed.
        if (holder is not null && !rivals.Exists(rival => rival.UserId == holder.Id))
            rivals.Add(new UsernameHolder(holder.Id, holder.UsernameKey!, NamedAt(holder)));
        return rivals;
    }

    private static DateTimeOffset NamedAt(User? user) => user is null ? default : user.NamedAt ?? user.ToldAt;

    // Locked in a fixed order, so that two users who claim each other's names do not deadlock.
    private static async Task<IReadOnlyList<UsernameForm>> LockAsync(IDocumentSession session, Guid[] forms) =>
        await session.QueryAsync<UsernameForm>("where id = any(?) order by id for update", [forms.Distinct().ToArray()]);

    private static void Put(IDocumentSession session, UsernameForm? known, UsernameForm form)
    {
        if (known is null)
            session.Insert(form);
        else if (known != form)
            session.Store(form);
    }
}
