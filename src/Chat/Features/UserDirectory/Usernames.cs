using Chat.Json;
using Marten;

namespace Chat.Features;

/// <summary>
/// One thing that a username reserves (see <see cref="Username.Forms"/>), and whose it is. The primary key alone keeps it from
/// being given twice.
/// </summary>
public sealed record UsernameForm
{
    /// <summary>The form.</summary>
    public required Guid Id { get; init; }

    /// <summary>Who has the name, or had it last.</summary>
    public required Guid UserId { get; init; }

    /// <summary>The name: see <see cref="Username.Key"/>.</summary>
    public required string Key { get; init; }

    /// <summary>When its user took another name; null while they have it.</summary>
    public DateTimeOffset? FreedAt { get; init; }
}

/// <summary>Who has a name that somebody else wants.</summary>
/// <param name="UserId">The other one.</param>
/// <param name="Key">The name that they have: the same, or one that looks like it.</param>
/// <param name="NamedAt">When the latest token was issued that gave it to them; null if they have given it up, and it rests.</param>
internal sealed record UsernameHolder(Guid UserId, string Key, DateTimeOffset? NamedAt);

/// <summary>Gives usernames out and takes them back, within the transaction of whoever asks.</summary>
internal sealed class Usernames(IConfiguration configuration, TimeProvider time)
{
    /// <summary>A name that was given up goes to nobody else for this time: others still know its last owner by it.</summary>
    public static readonly TimeSpan QuarantinePeriod = TimeSpan.FromDays(30);

    private readonly bool isLatests = string.Equals(configuration["Directory:Names"], "latest", StringComparison.OrdinalIgnoreCase);

    /// <summary>Gives a user the name that a token of theirs claims, if it is free or the setting lets the newest token have it.</summary>
    /// <returns>The name that the user has from now on, and who has lost it.</returns>
    public async Task<(Username? Name, IReadOnlyCollection<Guid> TakenFrom)> ClaimAsync(
        IDocumentSession session, Guid userId, Username? has, Username wanted, DateTimeOffset issuedAt)
    {
        // Never what only looks like the name of another: that is what a forger would want.
        var (isTheirs, takenFrom) = await AssignAsync(
            session, userId, has, wanted, rival => isLatests && rival.Key == wanted.Key && !(rival.NamedAt >= issuedAt));
        return (isTheirs ? wanted : has, takenFrom);
    }

    /// <summary>Gives a user a name, whoever else has it.</summary>
    /// <returns>False if somebody has one that looks like it.</returns>
    public async Task<bool> MoveAsync(IDocumentSession session, Guid userId, Username? has, Username wanted) =>
        (await AssignAsync(session, userId, has, wanted, rival => rival.Key == wanted.Key)).IsTheirs;

    /// <summary>Makes a name free for everybody at once.</summary>
    /// <returns>Who had it; null if nobody did.</returns>
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

    private async Task<(bool IsTheirs, IReadOnlyCollection<Guid> TakenFrom)> AssignAsync(
        IDocumentSession session, Guid userId, Username? has, Username wanted, Func<UsernameHolder, bool> mayBeTaken)
    {
        var holder = await session.Query<User>().FirstOrDefaultAsync(user => user.UsernameKey == wanted.Key && user.Id != userId);
        var old = has?.Forms ?? [];
        var locked = await LockAsync(session, [.. wanted.Forms, .. old, .. Username.Read(holder?.Username)?.Forms ?? []]);
        var forms = locked.ToDictionary(form => form.Id);
        var rivals = await RivalsAsync(session, userId, wanted.Forms.Select(id => forms.GetValueOrDefault(id)).OfType<UsernameForm>(), holder);
        if (!rivals.TrueForAll(rival => mayBeTaken(rival)))
            return (false, []);

        var now = time.GetWireNow();
        // Theirs first: the index of the database lets nobody else have the name before.
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
                Put(session, form, new UsernameForm { Id = id, UserId = userId, Key = has!.Key, FreedAt = form?.FreedAt ?? now });
        }

        return (true, rivals.ConvertAll(rival => rival.UserId));
    }

    private async Task<List<UsernameHolder>> RivalsAsync(IDocumentSession session, Guid userId, IEnumerable<UsernameForm> forms, User? holder)
    {
        var now = time.GetUtcNow();
        var others = forms.Where(form => form.UserId != userId && !(form.FreedAt + QuarantinePeriod <= now))
            .DistinctBy(form => (form.UserId, form.Key)).ToArray();
        var users = (await session.LoadManyAsync<User>(others.Select(form => form.UserId))).ToDictionary(user => user.Id);
        var rivals = others
            .Select(form => new UsernameHolder(form.UserId, form.Key, form.FreedAt is null ? NamedAt(users.GetValueOrDefault(form.UserId)) : null))
            .ToList();
        // Who has had the name since before there were forms.
        if (holder is not null && !rivals.Exists(rival => rival.UserId == holder.Id))
            rivals.Add(new UsernameHolder(holder.Id, holder.UsernameKey!, NamedAt(holder)));
        return rivals;
    }

    private static DateTimeOffset NamedAt(User? user) => user is null ? default : user.NamedAt ?? user.ToldAt;

    // In one order, so that two who want each other's names do not wait for each other.
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
