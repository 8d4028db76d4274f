namespace Chat.Tokens;

/// <summary>Which tokens are worth nothing any more, although they are genuine and have not expired.</summary>
public interface ITokenRevocations
{
    /// <summary>Whether a user's tokens that were issued then have been revoked.</summary>
    bool IsRevoked(Guid userId, DateTimeOffset issuedAt);

    /// <summary>Whether a token has been revoked since it was accepted.</summary>
    bool IsRevoked(TokenReadResult accepted);
}
