namespace Chat.Tokens;

/// <summary>Reads the token of an <c>Authorization</c> header, for the socket and REST alike.</summary>
internal static class BearerToken
{
    private const string Scheme = "Bearer";

    /// <summary>Reads the header: <c>Bearer</c> and a token (RFC 6750, 2.1), or the bare token, as some clients send it.</summary>
    /// <returns>The token; null if there is none, or the scheme is another one.</returns>
    public static string? In(string header)
    {
        var text = header.AsSpan().Trim();
        var blank = text.IndexOf(' ');
        if (blank < 0)
            return text.IsEmpty || text.Equals(Scheme, StringComparison.OrdinalIgnoreCase) ? null : text.ToString();
        return text[..blank].Equals(Scheme, StringComparison.OrdinalIgnoreCase) ? text[blank..].Trim().ToString() : null;
    }
}
