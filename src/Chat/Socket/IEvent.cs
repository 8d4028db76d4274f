using System.Text.Json.Serialization.Metadata;

namespace Chat.Socket;

/// <summary>
/// A record that travels as the payload of an envelope, from a client or to one. The type itself carries its wire
/// name and how it is read and written, so that a name stands in exactly one place.
/// </summary>
/// <typeparam name="TSelf">The record itself.</typeparam>
public interface IEvent<TSelf>
    where TSelf : IEvent<TSelf>
{
    /// <summary>The envelope's <c>type</c>, for example <c>message.send</c>.</summary>
    static abstract string Name { get; }

    /// <summary>How the payload is read and written.</summary>
    static abstract JsonTypeInfo<TSelf> Json { get; }
}
