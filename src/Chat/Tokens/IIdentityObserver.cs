namespace Chat.Tokens;

/// <summary>
/// Told of everybody whose token has just been accepted, on the socket or over REST, before anything is done for them.
/// </summary>
public interface IIdentityObserver
{
    /// <summary>Takes note of the identity. What it cannot store now it must bear to miss.</summary>
    ValueTask OnSignedInAsync(Identity identity);
}
