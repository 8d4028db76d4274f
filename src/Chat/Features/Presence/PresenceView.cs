using Chat.Json;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Tracks which presence of their contacts one user's connections to this node have received.</summary>
internal sealed class PresenceView(Guid userId)
{
    private readonly Lock gate = new();
    private readonly Dictionary<Guid, SentStatus> sent = [];
    private readonly List<Connection> listening = [];

    public Guid UserId => userId;

    /// <summary>
    /// The user's connections, including those that are still opening. Guarded by the lock of <see cref="PresenceViews"/>.
    /// </summary>
    public List<Connection> Connections { get; } = [];

    /// <summary>The latest load of all contacts, and its number. Guarded by the lock of <see cref="PresenceViews"/>.</summary>
    public Task<long>? Loading { get; set; }

    /// <summary>
    /// Users whose presence changed while the contacts were being loaded. Guarded by the lock of <see cref="PresenceViews"/>.
    /// </summary>
    public List<Guid> Missed { get; } = [];

    /// <summary>The contacts that have been loaded.</summary>
    public IReadOnlyList<Guid> Known
    {
        get
        {
            lock (gate)
                return [.. sent.Keys];
        }
    }

    /// <summary>Returns the presence of a contact as the user may see it.</summary>
    public static UserStatus Status(Contact contact, bool isOnline) => new(contact.UserId, isOnline, isOnline ? null : contact.LastSeenAt);

    /// <summary>Returns whether a contact was online according to the last status sent.</summary>
    public bool StatusOf(Guid contactId)
    {
        lock (gate)
            return sent.TryGetValue(contactId, out var last) && last.Status.Online;
    }

    /// <summary>Applies the result of a read and notifies of a change, unless a read that began later was already applied.</summary>
    /// <returns>Whether the contact was unknown before.</returns>
    public bool Take(Contact contact, bool isOnline, long read, bool isKnown, TimeProvider time)
    {
        lock (gate)
        {
            var isNew = !sent.TryGetValue(contact.UserId, out var before);
            if (!isNew && before.Read > read)
                return false;
            var status = Status(contact, isOnline || (!isKnown && !contact.IsBlocked && before.Status?.Online == true));
            sent[contact.UserId] = new SentStatus(status, read);
            // A contact without a sent status counts as offline.
            if (status.Online != (before.Status?.Online == true))
                Notify(status, time.GetWireNow());
            return isNew;
        }
    }

    /// <summary>
    /// Sends the statuses from this read or later ones to a new connection and adds it to those that are notified of changes.
    /// </summary>
    public void Begin(Connection connection, long read)
    {
        lock (gate)
        {
            var frames = sent.Values.Where(last => last.Read >= read).Select(last => last.Status).Chunk(StatusBulk.MaxPerFrame)
                .DefaultIfEmpty([]).ToArray();
            foreach (var frame in frames)
                connection.Send(new StatusBulk(frame, frame == frames[^1] ? null : true));
            listening.Add(connection);
        }
    }

    /// <summary>Removes a closed connection.</summary>
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

    /// <summary>The last status sent, and the number of the read that found it.</summary>
    private readonly record struct SentStatus(UserStatus Status, long Read);
}

/// <summary>Indexes which of this node's users follow a user. Guarded by the lock of <see cref="PresenceViews"/>.</summary>
internal sealed class Followers
{
    private readonly Dictionary<Guid, List<Guid>> byUser = [];

    public IReadOnlyList<Guid> Of(Guid userId) => byUser.TryGetValue(userId, out var list) ? list : [];

    public void Add(Guid follower, Guid userId)
    {
        if (!byUser.TryGetValue(userId, out var list))
            byUser.Add(userId, list = new List<Guid>(1));
        list.Add(follower);
    }

    public void Remove(Guid follower, IEnumerable<Guid> users)
    {
        foreach (var userId in users)
        {
            if (byUser.TryGetValue(userId, out var list) && list.Remove(follower) && list.Count == 0)
                byUser.Remove(userId);
        }
    }
}
