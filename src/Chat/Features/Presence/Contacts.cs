using Chat.Storage;
using Npgsql;

namespace Chat.Features;

/// <summary>Somebody the user shares a conversation with.</summary>
/// <param name="OfUser">The user.</param>
/// <param name="UserId">The other.</param>
/// <param name="LastSeenAt">When the other went offline last, if ever. It stands still at a block, as if they had stayed away since.</param>
/// <param name="IsApart">Whether there is a block between the two.</param>
internal readonly record struct Contact(Guid OfUser, Guid UserId, DateTimeOffset? LastSeenAt, bool IsApart);

/// <summary>Who is to hear of whom, for any number of users in one statement.</summary>
internal sealed class Contacts(NpgsqlDataSource database, Tables tables)
{
    /// <summary>The contacts of these users.</summary>
    public Task<IReadOnlyList<Contact>> LoadAsync(Guid[] users) => LoadAsync("own.user_id = any($1)", users);

    /// <summary>What users may know of some of their contacts.</summary>
    public Task<IReadOnlyList<Contact>> LoadAsync((Guid OfUser, Guid UserId)[] pairs) =>
        LoadAsync("(own.user_id, other.user_id) in (select * from unnest($1, $2))", [.. pairs.Select(pair => pair.OfUser)], [.. pairs.Select(pair => pair.UserId)]);

    private async Task<IReadOnlyList<Contact>> LoadAsync(string which, params Guid[][] parameters)
    {
        await using var command = database.CreateCommand($"""
            select pair.user_id, pair.other_id, least(seen.at, block.at), block.at is not null
            from (select distinct own.user_id, other.user_id as other_id
                  from {tables.Member} own
                  join {tables.Member} other on other.conversation_id = own.conversation_id and other.user_id <> own.user_id
                  where {which}) pair
            left join {tables.LastSeen} seen on seen.id = pair.other_id
            left join lateral (
                select min(b.blocked_at) as at
                from {tables.Block} b
                where (b.blocker_id = pair.user_id and b.blocked_id = pair.other_id)
                   or (b.blocker_id = pair.other_id and b.blocked_id = pair.user_id)) block on true
            """);
        foreach (var parameter in parameters)
            command.Parameters.Add(new() { Value = parameter });
        var contacts = new List<Contact>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            DateTimeOffset? lastSeenAt = await reader.IsDBNullAsync(2) ? null : reader.GetFieldValue<DateTimeOffset>(2);
            contacts.Add(new Contact(reader.GetGuid(0), reader.GetGuid(1), lastSeenAt, reader.GetBoolean(3)));
        }

        return contacts;
    }
}
