using System.Text.Json.Serialization.Metadata;

namespace Chat.Socket;

/// <summary>
/// A record sent as the payload of an envelope, in either direction. The type itself carries its wire name and its JSON
/// metadata, so that a name is written in exactly one place.
/// </summary>
/// <typeparam name="TSelf">The record itself.</typeparam>
public interface IEvent<TSelf>
    where TSelf : IEvent<TSelf>
{
    /// <summary>The envelope's <c>type</c>, for example <c>message.send</c>.</summary>
    static abstract string Name { get; }

    /// <summary>The payload's JSON metadata.</summary>
    static abstract JsonTypeInfo<TSelf> Json { get; }
}
