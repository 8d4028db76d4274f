using System.Security.Claims;

namespace Chat.Tokens;

/// <summary>Who a token speaks for: its <c>sub</c>, and the optional claims that feed the user directory.</summary>
/// <param name="Id">The <c>sub</c> claim.</param>
/// <param name="Username">The <c>preferred_username</c> claim.</param>
/// <param name="DisplayName">The <c>name</c> claim.</param>
/// <param name="Picture">The <c>picture</c> claim: a URL.</param>
public sealed record Identity(Guid Id, string? Username, string? DisplayName, string? Picture)
{
    /// <summary>Longer text counts as absent. A username's bound keeps it within what an index of the database can hold.</summary>
    private const int MaxText = 2048, MaxUsername = 256;

    /// <summary>A UUID as text. Parsing alone would also take one with blanks around it.</summary>
    private const int SubLength = 36;

    /// <summary>Reads the claims of a validated token.</summary>
    /// <returns>Null if <c>sub</c> is missing or not a UUID.</returns>
    public static Identity? From(ClaimsPrincipal principal) =>
        principal.FindFirstValue("sub") is { Length: SubLength } sub && Guid.TryParseExact(sub, "D", out var id) && id != Guid.Empty
            ? new Identity(id, Text(principal, "preferred_username", MaxUsername), Text(principal, "name", MaxText), Text(principal, "picture", MaxText))
            : null;

    // Claims are somebody else's text: what the database or a screen could choke on counts as absent.
    private static string? Text(ClaimsPrincipal principal, string claim, int maxLength) =>
        principal.FindFirstValue(claim)?.Trim() is { Length: > 0 } text && text.Length <= maxLength && WireText.IsClean(text) ? text : null;
}

/// <summary>
/// Told of everybody whose token has just been accepted, on the socket or over REST, before anything is done for them.
/// </summary>
public interface IIdentityObserver
{
    /// <summary>Takes note of the identity. What it cannot store now it must bear to miss.</summary>
    ValueTask SeenAsync(Identity identity);
}

/// <summary>Which tokens are worth nothing any more, although they are genuine and have not run out.</summary>
public interface ITokenRevocations
{
    /// <summary>Whether a user's tokens that were issued then have been revoked.</summary>
    bool IsRevoked(Guid userId, DateTimeOffset issuedAt);
}
