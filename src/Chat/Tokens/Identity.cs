using System.Security.Claims;
using Chat.Json;

namespace Chat.Tokens;

/// <summary>Who a token speaks for: the user its <c>sub</c> names, and the optional claims that feed the user directory.</summary>
/// <param name="Id">The user.</param>
/// <param name="Username">The <c>preferred_username</c> claim.</param>
/// <param name="DisplayName">The <c>name</c> claim.</param>
/// <param name="Picture">The <c>picture</c> claim: an https URL.</param>
public sealed record Identity(Guid Id, string? Username, string? DisplayName, string? Picture)
{
    /// <summary>Longer text counts as absent. A username's bound keeps it within what an index of the database can hold.</summary>
    private const int MaxText = 2048, MaxUsername = 256;

    /// <summary>When the token was issued that says all this; of two that differ, the later one counts.</summary>
    public DateTimeOffset IssuedAt { get; init; }

    /// <summary>Reads the claims of a validated token.</summary>
    internal static Identity From(Guid user, ClaimsPrincipal principal, DateTimeOffset issuedAt) =>
        new(user, Text(principal, "preferred_username", MaxUsername), Text(principal, "name", MaxText), PictureOf(principal)) { IssuedAt = issuedAt };

    // Claims are somebody else's text: what the database or a screen could choke on counts as absent.
    private static string? Text(ClaimsPrincipal principal, string claim, int maxLength) =>
        principal.FindFirstValue(claim)?.Trim() is { Length: > 0 } text && text.Length <= maxLength && WireText.IsClean(text) && !HasControls(text) ? text : null;

    // Other people's browsers load it: never without encryption, and never a script or data in place of an address.
    private static string? PictureOf(ClaimsPrincipal principal) =>
        Text(principal, "picture", MaxText) is { } text
        && Uri.TryCreate(text, UriKind.Absolute, out var address)
        && address.Scheme == Uri.UriSchemeHttps
        && address is { Host.Length: > 0, UserInfo: "" }
            ? text
            : null;

    // Control characters, and those that turn the direction of the text around them (Unicode's Bidi_Control, 202A–202E and
    // 2066–2069): one person's name must not rearrange another one's screen.
    private static bool HasControls(string text) => text.Any(unit => char.IsControl(unit) || unit is (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069'));
}
