using Chat.Storage;
using Npgsql;

namespace Chat.Features;

/// <summary>A user with whom another user has a direct conversation.</summary>
/// <param name="OfUser">The user whose contact this is.</param>
/// <param name="UserId">The contact.</param>
/// <param name="LastSeenAt">When the contact last went offline, if ever; frozen while a block exists.</param>
/// <param name="IsBlocked">Whether a block exists between the two.</param>
internal readonly record struct Contact(Guid OfUser, Guid UserId, DateTimeOffset? LastSeenAt, bool IsBlocked);

/// <summary>Queries which users may see each other's presence.</summary>
internal sealed class Contacts(NpgsqlDataSource database, TableNames tables)
{
    /// <summary>Most contacts whose presence is pushed to a user: those with the latest activity.</summary>
    public const int MaxContacts = 1000;

    /// <summary>Returns a user's contacts with the latest activity.</summary>
    public async Task<IReadOnlyList<Contact>> LoadAsync(Guid userId)
    {
        await using var command = Ask($"""
            select $1 as user_id, other.user_id as other_id
            from (select m.conversation_id
                  from {tables.Member} m join {tables.ConversationHead} h on h.id = m.conversation_id
                  where m.user_id = $1
                  order by h.updated_at desc, h.id
                  limit {MaxContacts}) latest
            join {tables.Member} other on other.conversation_id = latest.conversation_id and other.user_id <> $1
            """).With(userId);
        return await ReadAsync(command);
    }

    /// <summary>Returns those of the given pairs who are contacts. The cost depends on the number of pairs, not of contacts.</summary>
    public async Task<IReadOnlyList<Contact>> LoadAsync((Guid OfUser, Guid UserId)[] pairs)
    {
        await using var command = Ask($"""
            select asked.user_id, asked.other_id
            from unnest($1, $2, $3) asked(user_id, other_id, member) join {tables.Member} m on m.id = asked.member
            """)
            .WithColumn(pairs, pair => pair.OfUser)
            .WithColumn(pairs, pair => pair.UserId)
            .WithColumn(pairs, pair => Member.IdOf(ConversationHead.IdOfDirect(pair.OfUser, pair.UserId), pair.OfUser));
        return await ReadAsync(command);
    }

    private NpgsqlCommand Ask(string pairs) => database.CreateCommand($"""
        select pair.user_id, pair.other_id, least(seen.at, block.at), block.at is not null
        from ({pairs}) pair
        left join {tables.LastSeen} seen on seen.id = pair.other_id
        left join lateral (
            select min(b.blocked_at) as at
            from {tables.Block} b
            where (b.blocker_id = pair.user_id and b.blocked_id = pair.other_id)
               or (b.blocker_id = pair.other_id and b.blocked_id = pair.user_id)) block on true
        """);

    private static async Task<IReadOnlyList<Contact>> ReadAsync(NpgsqlCommand command) => await command.ReadAllAsync(
        row => new Contact(row.GetGuid(0), row.GetGuid(1), row.GetFieldValue<DateTimeOffset?>(2), row.GetBoolean(3)));
}
