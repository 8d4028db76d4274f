using Chat.Json;
using Chat.Socket;

namespace Chat.Features;

/// <summary>What one user's connections to this node have been told of the user's contacts.</summary>
internal sealed class PresenceView(Guid userId)
{
    private readonly Lock gate = new();
    private readonly Dictionary<Guid, SentStatus> sent = [];
    private readonly List<Connection> listening = [];

    public Guid UserId => userId;

    /// <summary>All of the user's connections, those included that are only just opening. Guarded by the lock on all views.</summary>
    public List<Connection> Connections { get; } = [];

    /// <summary>The latest read of all contacts, and its number. Guarded by the lock on all views.</summary>
    public Task<long>? Looking { get; set; }

    /// <summary>Who came or went while it was read who the contacts are. Guarded by the lock on all views.</summary>
    public List<Guid> Missed { get; } = [];

    /// <summary>The contacts of which something is known here.</summary>
    public IReadOnlyList<Guid> Known
    {
        get
        {
            lock (gate)
                return [.. sent.Keys];
        }
    }

    /// <summary>The status of a contact, as the user may see it.</summary>
    public static UserStatus Status(Contact contact, bool isOnline) => new(contact.UserId, isOnline, isOnline ? null : contact.LastSeenAt);

    /// <summary>Whether the user's connections were told last that somebody is there.</summary>
    public bool StatusOf(Guid person)
    {
        lock (gate)
            return sent.TryGetValue(person, out var one) && one.Status.Online;
    }

    /// <summary>Takes over what a read has found, unless a read that began later has found something already; tells what is news.</summary>
    /// <returns>Whether the contact is new here.</returns>
    public bool Take(Contact contact, bool isOnline, long read, bool isKnown, TimeProvider time)
    {
        lock (gate)
        {
            var isNew = !sent.TryGetValue(contact.UserId, out var before);
            if (!isNew && before.Read > read)
                return false;
            var status = Status(contact, isOnline || (!isKnown && !contact.IsBlocked && before.Status?.Online == true));
            sent[contact.UserId] = new SentStatus(status, read);
            // Whoever nothing was told of counts as away.
            if (status.Online != (before.Status?.Online == true))
                Notify(status, time.GetWireNow());
            return isNew;
        }
    }

    /// <summary>Tells a new connection everything that its own read, or a later one, has found; from here on it is told what changes.</summary>
    public void Begin(Connection connection, long read)
    {
        lock (gate)
        {
            var parts = sent.Values.Where(one => one.Read >= read).Select(one => one.Status).Chunk(StatusBulk.MaxPerFrame).DefaultIfEmpty([]).ToArray();
            foreach (var part in parts)
                connection.Send(new StatusBulk(part, part == parts[^1] ? null : true));
            listening.Add(connection);
        }
    }

    /// <summary>A connection is gone.</summary>
    public void End(Connection connection)
    {
        lock (gate)
            listening.Remove(connection);
    }

    private void Notify(UserStatus status, DateTimeOffset now)
    {
        if (listening.Count == 0)
            return;
        var frame = status.Online
            ? Frame.Of(new UserOnline(status.UserId, now), droppable: true)
            : Frame.Of(new UserOffline(status.UserId, status.LastSeenAt ?? now), droppable: true);
        foreach (var connection in listening)
            connection.Send(frame);
    }

    /// <summary>What was told last, and the number of the read that has found it.</summary>
    private readonly record struct SentStatus(UserStatus Status, long Read);
}

/// <summary>Which of this node's users follow whom. Guarded by the lock on all views.</summary>
internal sealed class Followers
{
    private readonly Dictionary<Guid, List<Guid>> byPerson = [];

    public IReadOnlyList<Guid> Of(Guid person) => byPerson.TryGetValue(person, out var own) ? own : [];

    public void Add(Guid follower, Guid person)
    {
        if (!byPerson.TryGetValue(person, out var own))
            byPerson.Add(person, own = new List<Guid>(1));
        own.Add(follower);
    }

    public void Remove(Guid follower, IEnumerable<Guid> people)
    {
        foreach (var person in people)
        {
            if (byPerson.TryGetValue(person, out var own) && own.Remove(follower) && own.Count == 0)
                byPerson.Remove(person);
        }
    }
}
