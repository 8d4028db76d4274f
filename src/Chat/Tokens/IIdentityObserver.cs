namespace Chat.Tokens;

/// <summary>Observes accepted identities, on the socket or over REST, before their request is processed.</summary>
public interface IIdentityObserver
{
    /// <summary>Records the identity. Best effort: a failure to store it must not fail the request.</summary>
    ValueTask OnSignedInAsync(Identity identity);
}
