using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Chat.Socket;

namespace Chat.Backplane;

/// <summary>Handles one type of event that another node published to a user's channel. Must not block.</summary>
/// <typeparam name="TEvent">The event.</typeparam>
public interface INodeHandler<in TEvent>
{
    /// <summary>Handles one event. Events for one user arrive in the order in which each node published them.</summary>
    void Handle(Guid userId, TEvent received);
}

/// <summary>A frame for all connections of a user, encoded by the node where it originated.</summary>
/// <param name="Bytes">The frame.</param>
/// <param name="Droppable">See <see cref="Frame"/>.</param>
internal sealed record ForwardedFrame(byte[] Bytes, bool Droppable) : IEvent<ForwardedFrame>
{
    public static string Name => "frame";

    public static JsonTypeInfo<ForwardedFrame> Json => BackplaneJson.Wire.ForwardedFrame;
}

/// <summary>An entry of the routing table of node events.</summary>
internal abstract class NodeRoute(string name)
{
    public string Name => name;

    public abstract void Handle(Guid userId, ReadOnlySpan<byte> payload);
}

internal sealed class NodeRoute<TEvent>(INodeHandler<TEvent> handler) : NodeRoute(TEvent.Name)
    where TEvent : IEvent<TEvent>
{
    public override void Handle(Guid userId, ReadOnlySpan<byte> payload) =>
        handler.Handle(userId, JsonSerializer.Deserialize(payload, TEvent.Json)!);
}
