using System.Security.Claims;
using Chat.Json;

namespace Chat.Tokens;

/// <summary>The user that a token authenticates: its <c>sub</c>, and the optional claims that feed the user directory.</summary>
/// <param name="Id">The user.</param>
/// <param name="Username">The <c>preferred_username</c> claim.</param>
/// <param name="DisplayName">The <c>name</c> claim.</param>
/// <param name="Picture">The <c>picture</c> claim: an https URL.</param>
public sealed record Identity(Guid Id, string? Username, string? DisplayName, string? Picture)
{
    /// <summary>Longer claims count as absent. The bound on usernames keeps them within a database index entry.</summary>
    private const int MaxText = 2048, MaxUsername = 256;

    /// <summary>When the token was issued; of two tokens with different claims, the later one wins.</summary>
    public DateTimeOffset IssuedAt { get; init; }

    /// <summary>Reads the claims of a validated token.</summary>
    internal static Identity From(Guid user, ClaimsPrincipal principal, DateTimeOffset issuedAt) =>
        new(user, Text(principal, "preferred_username", MaxUsername), Text(principal, "name", MaxText),
            PictureOf(principal))
        { IssuedAt = issuedAt };

    // Claims are untrusted text: what a database or a screen cannot handle counts as absent.
    private static string? Text(ClaimsPrincipal principal, string claim, int maxLength) =>
        principal.FindFirstValue(claim)?.Trim() is { Length: > 0 } text
            && text.Length <= maxLength && WireText.IsClean(text) && !HasControls(text) ? text : null;

    // Other users' browsers load it: https only, and never a script or data URL.
    private static string? PictureOf(ClaimsPrincipal principal) =>
        Text(principal, "picture", MaxText) is { } text
        && Uri.TryCreate(text, UriKind.Absolute, out var address)
        && address.Scheme == Uri.UriSchemeHttps
        && address is { Host.Length: > 0, UserInfo: "" }
            ? text
            : null;

    // Control characters, and those that change the direction of surrounding text (Unicode's Bidi_Control, 202A–202E and
    // 2066–2069): one user's name must not rearrange another one's screen.
    private static bool HasControls(string text) =>
        text.Any(unit => char.IsControl(unit) || unit is (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069'));
}
