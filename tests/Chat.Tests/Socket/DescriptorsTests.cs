using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Chat.Features;
using Chat.Tests.Embedded;
using Chat.Tests.Fixtures;
using Chat.Tests.Start;

namespace Chat.Tests.Socket;

/// <summary>More clients than file descriptors, on a process with a low limit.</summary>
public sealed class DescriptorsTests
{
    // .NET and the server's libraries use some 350 to 400 of them.
    private const int Few = 700;

    [UnixFact]
    public async Task A_node_out_of_descriptors_keeps_its_connections_and_rejects_new_ones()
    {
        using var server = await ServerProcess.Listening(ServerProcess.LaunchWithin(Few, await Settings()));
        Assert.Matches(
            $@"The limit of {Few} open files allows about \d+ connections, fewer than Limits:MaxConnections \(100000\);.* Raise it to 100\d\d\d ", server.Output);

        List<SocketClient> inside = [];
        (SocketClient? Client, ClientWebSocket Socket) last;
        while ((last = await Shake(server)).Client is { } client)
            inside.Add(client);
        Assert.InRange(inside.Count, 20, Few);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "1"),
            (last.Socket.HttpStatusCode, last.Socket.HttpResponseHeaders!["Retry-After"].Single()));

        // Plain connections take neither the server's reserved descriptors nor those for responses.
        var idle = Enumerable.Range(0, Few).Select(_ => new TcpClient()).ToArray();
        // Some are closed before they notice that they were accepted.
        await Task.WhenAll(idle.Select(one => Record.ExceptionAsync(() => one.ConnectAsync(IPAddress.Loopback, server.Address.Port))));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await Shake(server)).Socket.HttpStatusCode);
        await Task.WhenAll(inside.Select(client => client.Settle()));
        (await inside[0].SendMessage(Guid.NewGuid(), "is the database there?")).IsError("FORBIDDEN");
        foreach (var one in idle)
            one.Dispose();

        // A closed connection makes room for another.
        await inside[0].Leave();
        await Eventually.UntilNoError(
            async () => (await Shake(server)).Client is null ? "there is no room again" : null, TimeSpan.FromSeconds(15));
        foreach (var client in inside)
            await client.DisposeAsync();
    }

    [UnixFact]
    public async Task A_descriptor_limit_too_low_to_serve_fails_the_startup_in_one_line()
    {
        using var server = ServerProcess.LaunchWithin(500, await Settings());

        Assert.Equal(1, await server.Exit());
        Assert.Equal("The limit of 500 open files leaves none for connections; raise it (ulimit -n).", server.Errors);
    }

    private static async Task<Dictionary<string, string>> Settings() => new(await Production.Settings())
    {
        // Creates its schema itself.
        ["DOTNET_ENVIRONMENT"] = "Development",
        ["ASPNETCORE_ENVIRONMENT"] = "Development",
    };

    /// <summary>Opens a connection; returns after auth_success, or null if the handshake was rejected.</summary>
    private static async Task<(SocketClient? Client, ClientWebSocket Socket)> Shake(ServerProcess server)
    {
        var socket = new ClientWebSocket { Options = { CollectHttpResponseDetails = true } };
        socket.Options.SetRequestHeader("Authorization", $"Bearer {Production.TokenFor(ChatApp.NewUser())}");
        try
        {
            await socket.ConnectAsync(new Uri($"ws://{server.Address.Authority}/chat/ws"), CancellationToken.None);
        }
        catch (WebSocketException)
        {
            return (null, socket);
        }

        var client = new SocketClient(socket);
        await client.Next("auth_success");
        return (client, socket);
    }
}
