using System.Text.Json.Serialization.Metadata;
using Chat.Socket;

namespace Chat.Features;

/// <summary>Node event: what the channel's user sees of somebody's presence may have changed.</summary>
/// <param name="UserId">Of whom.</param>
internal sealed record PresenceChanged(Guid UserId) : IEvent<PresenceChanged>
{
    public static string Name => "presence";

    public static JsonTypeInfo<PresenceChanged> Json => FeatureJson.Wire.PresenceChanged;
}

/// <summary>Node event, to all nodes: these people may have come or gone.</summary>
/// <param name="Users">Who.</param>
internal sealed record PresenceAnnounced(IReadOnlyList<Guid> Users) : IEvent<PresenceAnnounced>
{
    public static string Name => "presence.announced";

    public static JsonTypeInfo<PresenceAnnounced> Json => FeatureJson.Wire.PresenceAnnounced;
}
