using System.Net;
using Microsoft.AspNetCore.HttpOverrides;
using IPNetwork = System.Net.IPNetwork;

namespace Chat.Edge;

/// <summary>
/// The load balancers in front, from <c>Proxies:Known</c>. Only what comes from one of them is believed when it says
/// for whom it asks (<c>X-Forwarded-For</c>) and whether that was over https (<c>X-Forwarded-Proto</c>); else everybody
/// could choose their own address, and with it whose limits they use up.
/// </summary>
internal static class Proxies
{
    /// <summary>What is wrong with the setting, a line each.</summary>
    public static IEnumerable<string> Faults(IConfiguration configuration)
    {
        foreach (var text in Split(configuration))
        {
            if (NetworkOf(text) is null)
                yield return $"Proxies__Known has '{text}', which is neither an address nor a network like 10.0.0.0/8.";
        }

        // The framework's own switch believes whoever sends the headers.
        if (configuration.GetValue("FORWARDEDHEADERS_ENABLED", false))
            yield return "ASPNETCORE_FORWARDEDHEADERS_ENABLED would believe anybody: name your proxies in Proxies__Known instead.";
    }

    /// <summary>What to believe, and of whom; null if there is no proxy.</summary>
    public static ForwardedHeadersOptions? Options(IConfiguration configuration)
    {
        var networks = Split(configuration).Select(text => NetworkOf(text)!.Value).ToArray();
        if (networks.Length == 0)
            return null;
        // Through any number of known proxies, and not a step further.
        var options = new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto, ForwardLimit = null };
        options.KnownProxies.Clear();
        options.KnownIPNetworks.Clear();
        foreach (var network in networks)
            options.KnownIPNetworks.Add(network);
        return options;
    }

    private static string[] Split(IConfiguration configuration) =>
        (configuration["Proxies:Known"] ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static IPNetwork? NetworkOf(string text)
    {
        if (IPNetwork.TryParse(text, out var network))
            return network;
        return IPAddress.TryParse(text, out var address) ? new IPNetwork(address, address.GetAddressBytes().Length * 8) : null;
    }
}
