using System.Net.Sockets;
using System.Text;
using Chat.Tests.Embedded;
using Chat.Tests.Fixtures;
using SystemSocket = System.Net.Sockets.Socket;

namespace Chat.Tests.Start;

/// <summary>What a unit with <c>Type=notify</c> relies on.</summary>
public sealed class SystemdTests
{
    [Fact]
    public async Task Systemd_is_notified_of_startup_and_shutdown()
    {
        using var temp = new TempFolder();
        using var systemd = new SystemSocket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        systemd.Bind(new UnixDomainSocketEndPoint(temp.Below("notify")));
        var settings = await SettingsFor(temp);
        using var schema = ServerProcess.Launch(settings, "db-apply");
        Assert.Equal(0, await schema.Exit());
        Assert.Equal(0, systemd.Available);

        using var server = Launch(temp, settings);
        Assert.Equal("READY=1", await Next(systemd));
        // The journal reads the level from a line's prefix. The log has a thread of its own and may be written after the notification.
        await Eventually.Until(
            "the log has levels", () => server.Output.Contains("<6>Microsoft.Hosting.Lifetime", StringComparison.Ordinal));

        server.Terminate();
        Assert.Equal("STOPPING=1", await Next(systemd));
        Assert.Equal(0, await server.Exit());
    }

    [Fact]
    public async Task A_configured_formatter_is_kept()
    {
        using var temp = new TempFolder();
        var settings = await SettingsFor(temp);
        settings["Logging__Console__FormatterName"] = "json";
        using var schema = ServerProcess.Launch(settings, "db-apply");
        Assert.Equal(0, await schema.Exit());

        using var server = Launch(temp, settings);

        await Eventually.Until("the server listens", () => server.Output.Contains("Now listening on", StringComparison.Ordinal));
        Assert.DoesNotContain("<6>", server.Output, StringComparison.Ordinal);
        Assert.Contains("{\"", server.Output, StringComparison.Ordinal);
        server.Terminate();
        Assert.Equal(0, await server.Exit());
    }

    private static async Task<Dictionary<string, string>> SettingsFor(TempFolder temp) =>
        new(await Production.Settings()) { ["NOTIFY_SOCKET"] = temp.Below("notify") };

    private static ServerProcess Launch(TempFolder temp, IReadOnlyDictionary<string, string> settings)
    {
        File.CreateSymbolicLink(temp.Below("systemd"), "/bin/sh");
        return ServerProcess.LaunchAsUnit(temp.Below("systemd"), settings);
    }

    private static async Task<string> Next(SystemSocket systemd)
    {
        var buffer = new byte[256];
        using var deadline = new CancellationTokenSource(Eventually.Timeout);
        return Encoding.UTF8.GetString(buffer, 0, await systemd.ReceiveAsync(buffer, deadline.Token));
    }
}
