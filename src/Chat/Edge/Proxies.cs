using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.HttpOverrides;
using IPNetwork = System.Net.IPNetwork;

namespace Chat.Edge;

/// <summary>
/// The trusted load balancers, from <c>Proxies:Known</c>. Only their <c>X-Forwarded-For</c> and <c>X-Forwarded-Proto</c> are
/// honoured; otherwise clients could choose their own address, and with it whose limits they use up.
/// </summary>
internal static class Proxies
{
    // 10.0.0.0/8 and fc00::/7 are the largest private networks.
    private const int WidestIPv4 = 8;
    private const int WidestIPv6 = 7;

    // The bits before the IPv4 address in ::ffff:a.b.c.d.
    private const int Mapped = 96;

    /// <summary>Returns what is wrong with the setting; null if it is valid.</summary>
    public static string? Validate(string known)
    {
        foreach (var text in Split(known))
        {
            if (NetworkOf(text) is not { } network)
                return $"contains '{text}', which is neither an address nor a network like 10.0.0.0/8.";
            if (network.PrefixLength < (network.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? WidestIPv4 : WidestIPv6))
                return $"contains '{text}', which would trust nearly every address: list only the networks of your proxies.";
        }

        return null;
    }

    /// <summary>Returns the networks of the trusted proxies.</summary>
    public static IPNetwork[] Networks(IConfiguration configuration) =>
        [.. Split(configuration["Proxies:Known"]).Select(text => NetworkOf(text)!.Value)];

    /// <summary>Returns the forwarded headers to honour, and from whom; null if there is no proxy.</summary>
    public static ForwardedHeadersOptions? Options(IConfiguration configuration)
    {
        var networks = Networks(configuration);
        if (networks.Length == 0)
            return null;
        // Through any number of known proxies, and no further.
        var options = new ForwardedHeadersOptions
        {
            ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto,
            ForwardLimit = null
        };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var network in networks)
            options.KnownIPNetworks.Add(network);
        return options;
    }

    private static string[] Split(string? known) =>
        (known ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static IPNetwork? NetworkOf(string text)
    {
        if (IPNetwork.TryParse(text, out var network))
            return network.BaseAddress.IsIPv4MappedToIPv6 && network.PrefixLength >= Mapped
                ? new IPNetwork(network.BaseAddress.MapToIPv4(), network.PrefixLength - Mapped) : network;
        if (!IPAddress.TryParse(text, out var address))
            return null;
        var unmapped = ClientAddress.Unmapped(address);
        return new IPNetwork(unmapped, unmapped.GetAddressBytes().Length * 8);
    }
}
