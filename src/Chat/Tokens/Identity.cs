using System.Security.Claims;

namespace Chat.Tokens;

/// <summary>Who a token speaks for: its <c>sub</c>, and the optional claims that feed the user directory.</summary>
/// <param name="Id">The <c>sub</c> claim.</param>
/// <param name="Username">The <c>preferred_username</c> claim.</param>
/// <param name="DisplayName">The <c>name</c> claim.</param>
/// <param name="Picture">The <c>picture</c> claim: a URL.</param>
public sealed record Identity(Guid Id, string? Username, string? DisplayName, string? Picture)
{
    /// <summary>Reads the claims of a validated token.</summary>
    /// <returns>Null if <c>sub</c> is missing or not a UUID.</returns>
    public static Identity? From(ClaimsPrincipal principal) =>
        Guid.TryParseExact(principal.FindFirstValue("sub"), "D", out var id) && id != Guid.Empty
            ? new Identity(id, Text(principal, "preferred_username"), Text(principal, "name"), Text(principal, "picture"))
            : null;

    // Claims are somebody else's text: what the database or a screen could choke on counts as absent.
    private static string? Text(ClaimsPrincipal principal, string claim) =>
        principal.FindFirstValue(claim)?.Trim() is { Length: > 0 and <= 2048 } text && WireText.IsClean(text) ? text : null;
}

/// <summary>
/// Told of everybody whose token has just been accepted, on the socket or over REST, before anything is done for them.
/// </summary>
public interface IIdentityObserver
{
    /// <summary>Takes note of the identity. What it cannot store now it must bear to miss.</summary>
    ValueTask SeenAsync(Identity identity);
}
