using System.Security.Claims;

namespace Chat.Tokens;

/// <summary>What a token says, if it is one of ours.</summary>
/// <param name="Identity">Null if the token is refused.</param>
/// <param name="IssuedAt">Since when it speaks for its user; the beginning of time if it does not say.</param>
/// <param name="ExpiresAt">Until when it speaks for its user.</param>
/// <param name="Fault">Why it is refused; null beside a missing identity if nobody can tell yet, for want of the issuer's keys.</param>
public sealed record TokenReadResult(Identity? Identity, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt, TokenFault? Fault)
{
    /// <summary>When it was shown, by our clock.</summary>
    public DateTimeOffset ShownAt { get; init; }

    /// <summary>Why it is refused, for operators.</summary>
    public TokenRefusal? Refusal { get; init; }

    /// <summary>Its claims, with the user's id for its <c>sub</c>.</summary>
    internal ClaimsPrincipal? Principal { get; init; }

    /// <summary>What the library or a rule of ours said of it.</summary>
    internal Exception? Failure { get; init; }
}
