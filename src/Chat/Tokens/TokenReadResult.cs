using System.Security.Claims;

namespace Chat.Tokens;

/// <summary>The result of validating a token.</summary>
/// <param name="Identity">The user; null if the token is refused or undecided.</param>
/// <param name="IssuedAt">When it was issued; <see cref="DateTimeOffset.MinValue"/> if it does not say.</param>
/// <param name="ExpiresAt">When it expires.</param>
/// <param name="Fault">Why it is refused; null with a null identity if undecided, because the issuer's keys are missing.</param>
public sealed record TokenReadResult(Identity? Identity, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt, TokenFault? Fault)
{
    /// <summary>When it was presented, by our clock.</summary>
    public DateTimeOffset ShownAt { get; init; }

    /// <summary>Why it is refused, in detail, for operators.</summary>
    public TokenRefusal? Refusal { get; init; }

    /// <summary>Its claims, with the user's id as <c>sub</c>.</summary>
    internal ClaimsPrincipal? Principal { get; init; }

    /// <summary>The validation error.</summary>
    internal Exception? Failure { get; init; }
}
