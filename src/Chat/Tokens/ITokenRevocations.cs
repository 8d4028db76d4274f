namespace Chat.Tokens;

/// <summary>Tells which tokens are revoked, although they are genuine and have not expired.</summary>
public interface ITokenRevocations
{
    /// <summary>Whether a user's tokens issued at this time are revoked.</summary>
    bool IsRevoked(Guid userId, DateTimeOffset issuedAt);

    /// <summary>Whether a token has been revoked since it was accepted.</summary>
    bool IsRevoked(TokenReadResult accepted);
}
