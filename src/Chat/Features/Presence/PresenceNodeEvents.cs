using System.Text.Json.Serialization.Metadata;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Node event: a user's presence, as seen by the channel's user, may have changed.</summary>
/// <param name="UserId">The user whose presence may have changed.</param>
internal sealed record PresenceChanged(Guid UserId) : IEvent<PresenceChanged>
{
    public static string Name => "presence";

    public static JsonTypeInfo<PresenceChanged> Json => FeatureJson.Wire.PresenceChanged;
}

/// <summary>Node event, sent to all nodes: these users may have come online or gone offline.</summary>
/// <param name="Users">The users.</param>
internal sealed record PresenceAnnounced(IReadOnlyList<Guid> Users) : IEvent<PresenceAnnounced>
{
    public static string Name => "presence.announced";

    public static JsonTypeInfo<PresenceAnnounced> Json => FeatureJson.Wire.PresenceAnnounced;
}
