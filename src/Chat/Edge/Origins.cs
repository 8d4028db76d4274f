namespace Chat.Edge;

/// <summary>
/// Which web pages may use the server from a browser: those it serves itself, and those of the origins in
/// <c>Origins:Allowed</c> (RFC 6454, compared as whole text). Nobody but a browser sends an origin, so a request
/// without one is not held up here; its token decides.
/// </summary>
/// <param name="allowed">The origins, separated by commas.</param>
internal sealed class Origins(string? allowed)
{
    /// <summary>The origins as browsers write them.</summary>
    public IReadOnlySet<string> Allowed { get; } = Split(allowed).ToHashSet(StringComparer.Ordinal);

    /// <summary>Whether the page that a request comes from may make it.</summary>
    public bool Admits(HttpRequest request)
    {
        if (!request.Headers.TryGetValue("Origin", out var origins))
            return true;
        // Two of them are none that a browser sent.
        return origins is [{ } origin] && (Allowed.Contains(origin) || origin == $"{request.Scheme}://{request.Host}");
    }

    /// <summary>What is wrong with the setting, a line each.</summary>
    public static IEnumerable<string> Faults(string? allowed) =>
        from origin in Split(allowed)
        where !IsOrigin(origin)
        select $"Origins__Allowed has '{origin}', which is no origin: write scheme://host or scheme://host:port, in lower case, without a path, and commas between several.";

    private static string[] Split(string? list) =>
        (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static bool IsOrigin(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Host.Length > 0 && address.GetLeftPart(UriPartial.Authority) == text && address.UserInfo.Length == 0;
}
