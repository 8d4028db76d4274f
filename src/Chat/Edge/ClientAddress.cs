using System.Net;
using System.Net.Sockets;

namespace Chat.Edge;

/// <summary>What counts as one client, wherever clients are counted by their address.</summary>
internal static class ClientAddress
{
    private const int HostBytes = 8;

    /// <summary>
    /// An IPv4 address by itself, however a socket of both versions writes it (<c>::ffff:a.b.c.d</c>). Of IPv6 the /64: that
    /// is what one subscriber has, and may take any address from.
    /// </summary>
    /// <param name="address">As the connection or a proxy tells it; null where there is none, as on a Unix socket.</param>
    public static IPAddress Of(IPAddress? address)
    {
        if (address is null)
            return IPAddress.None;
        var plain = Unmapped(address);
        if (plain.AddressFamily != AddressFamily.InterNetworkV6)
            return plain;
        var bytes = plain.GetAddressBytes();
        bytes.AsSpan(HostBytes).Clear();
        return new IPAddress(bytes);
    }

    /// <summary>The IPv4 address inside of one that is mapped into IPv6.</summary>
    public static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
