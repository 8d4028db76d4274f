namespace Chat.Edge;

/// <summary>
/// Which web pages may use the server from a browser: those it serves itself, and those of the origins in
/// <c>Origins:Allowed</c> (RFC 6454: scheme, host and port, whatever their case, a default port written or not). Nobody
/// but a browser sends an origin, so a request without one is not held up here; its token decides.
/// </summary>
/// <param name="allowed">The origins, separated by commas.</param>
internal sealed class Origins(string? allowed)
{
    private const int MostShown = 200;

    /// <summary>The origins as browsers write them.</summary>
    public IReadOnlySet<string> Allowed { get; } = Split(allowed).Select(Normalized).OfType<string>().ToHashSet(StringComparer.Ordinal);

    /// <summary>Whether the page that a request comes from may make it.</summary>
    public bool Admits(HttpRequest request)
    {
        if (!request.Headers.TryGetValue("Origin", out var origins))
            return true;
        // Two of them are none that a browser sent.
        return origins is [{ } text] && Normalized(text) is { } origin && (Allowed.Contains(origin) || origin == Normalized(OwnOf(request)));
    }

    /// <summary>The origin of the server's own pages, as a request was addressed.</summary>
    public static string OwnOf(HttpRequest request) => $"{request.Scheme}://{request.Host}";

    /// <summary>Text of a client's as a log may show it: short, and in printable ASCII.</summary>
    public static string Shown(string text) =>
        new([.. text.Take(MostShown).Select(unit => unit is > ' ' and <= '~' ? unit : '?')]);

    /// <summary>What is wrong with the setting; null if nothing is.</summary>
    public static string? Validate(string allowed) => Array.Find(Split(allowed), origin => !IsOrigin(origin)) is { } wrong
        ? $"has '{wrong}', which is no origin: write scheme://host or scheme://host:port, without a path, and commas between several."
        : null;

    private static string[] Split(string? list) =>
        (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static bool IsOrigin(string text) => Normalized(text) is not null;

    // As browsers write it: in lower case, without a default port. A path, even an empty one, makes it no origin.
    private static string? Normalized(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Host.Length > 0 && address.UserInfo.Length == 0
        && address.GetLeftPart(UriPartial.Authority) is var origin
        && (text.Equals(origin, StringComparison.OrdinalIgnoreCase) || text.Equals($"{origin}:{address.Port}", StringComparison.OrdinalIgnoreCase))
            ? origin
            : null;
}
