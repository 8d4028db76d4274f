using System.Net;
using System.Net.Sockets;

namespace Chat.Edge;

/// <summary>Defines what counts as one client wherever clients are counted by address.</summary>
internal static class ClientAddress
{
    private const int HostBytes = 8;

    /// <summary>
    /// Returns an IPv4 address itself, also if mapped into IPv6 (<c>::ffff:a.b.c.d</c>), and of an IPv6 address the /64: one
    /// subscriber usually has that much to choose from.
    /// </summary>
    /// <param name="address">The address of the connection or as reported by a proxy; null if there is none, as on a Unix socket.</param>
    public static IPAddress Of(IPAddress? address)
    {
        if (address is null)
            return IPAddress.None;
        var unmapped = Unmapped(address);
        if (unmapped.AddressFamily != AddressFamily.InterNetworkV6)
            return unmapped;
        var bytes = unmapped.GetAddressBytes();
        bytes.AsSpan(HostBytes).Clear();
        return new IPAddress(bytes);
    }

    /// <summary>Returns the IPv4 address of one mapped into IPv6; others unchanged.</summary>
    public static IPAddress Unmapped(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
