namespace Chat.Edge;

/// <summary>
/// Decides which web pages may use the server from a browser: its own, and those of the origins in <c>Origins:Allowed</c>
/// (RFC 6454: scheme, host and port, case-insensitive, a default port optional). Only browsers send an origin, so a request
/// without one passes; its token decides.
/// </summary>
/// <param name="allowed">The origins, separated by commas.</param>
internal sealed class Origins(string? allowed)
{
    private const int MaxShown = 200;

    /// <summary>The allowed origins, as browsers write them.</summary>
    public IReadOnlySet<string> Allowed { get; } = Split(allowed).Select(Normalized).OfType<string>().ToHashSet(StringComparer.Ordinal);

    /// <summary>Whether a request's origin is allowed.</summary>
    public bool Admits(HttpRequest request)
    {
        if (!request.Headers.TryGetValue("Origin", out var origins))
            return true;
        // No browser sends two of them.
        return origins is [{ } text]
            && Normalized(text) is { } origin && (Allowed.Contains(origin) || origin == Normalized(OwnOf(request)));
    }

    /// <summary>Returns the origin of the server's own pages, as the request was addressed.</summary>
    public static string OwnOf(HttpRequest request) => $"{request.Scheme}://{request.Host}";

    /// <summary>Makes client input fit for a log: truncated, and in printable ASCII.</summary>
    public static string Shown(string text) =>
        new([.. text.Take(MaxShown).Select(unit => unit is > ' ' and <= '~' ? unit : '?')]);

    /// <summary>Returns what is wrong with the setting; null if it is valid.</summary>
    public static string? Validate(string allowed) => Array.Find(Split(allowed), origin => !IsOrigin(origin)) is { } wrong
        ? $"contains '{wrong}', which is not an origin: write scheme://host or scheme://host:port, without a path, separated by commas."
        : null;

    private static string[] Split(string? list) =>
        (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static bool IsOrigin(string text) => Normalized(text) is not null;

    // As browsers write it: in lower case, without a default port. With a path, even an empty one, it is no origin.
    private static string? Normalized(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Host.Length > 0 && address.UserInfo.Length == 0
        && address.GetLeftPart(UriPartial.Authority) is var origin
        && (text.Equals(origin, StringComparison.OrdinalIgnoreCase)
        || text.Equals($"{origin}:{address.Port}", StringComparison.OrdinalIgnoreCase))
            ? origin
            : null;
}
