using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using TcpSocket = System.Net.Sockets.Socket;

namespace Chat.Faults;

/// <summary>What clients do to a node.</summary>
internal static class Peers
{
    private const int Handshake = 4096;
    private const int AtOnce = 16;

    /// <summary>Devices that do not read, in busy conversations. Each costs its queue and no more; then it is closed.</summary>
    public static async Task SlowReadersAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan { Nodes = 1 });
        await using var load = await run.TalkAsync(cluster, run.Sized(new Crowd(16, 1, 200), new Crowd(40, 2, 800)));
        await run.GoOnAsync(2, 5);
        var before = cluster.Nodes[0].Footprint;
        var calm = load.Now;
        var readers = new List<TcpSocket>();
        try
        {
            // All of them are more devices of the same few users, so each receives every message.
            for (var i = 0; i < run.Sized(20, 100); i++)
                readers.Add(await OpenAsync(cluster.Nodes[0].Port, load.People[i % 2], receiveBuffer: 4096));
            var ports = readers.ConvertAll(reader => ((IPEndPoint)reader.LocalEndPoint!).Port);
            var talking = load.Devices.First(device => device.Person == load.People[0]);
            // The system buffers some megabytes for each of them before the node notices anything; how long it takes to fill them
            // depends on the machine.
            var text = new string('x', 3900);
            var stopped = Stopwatch.GetTimestamp();
            while (!ports.TrueForAll(IsCut) && Stopwatch.GetElapsedTime(stopped) < TimeSpan.FromSeconds(90))
                await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(i => talking.SayAsync($"{text} {talking.Said.Count} {i}")));
            run.Note("closed after", Stopwatch.GetElapsedTime(stopped));
            var left = await Wait.HoldsAsync(TimeSpan.FromSeconds(20), () => Task.FromResult(ports.TrueForAll(IsCut)));
            run.Expect(
                left is not null, $"{ports.Count(port => !IsCut(port))} of {readers.Count} devices that do not read were not closed");
            var after = cluster.Nodes[0].Footprint;
            run.Note("memory", $"+{after.ResidentMegabytes - before.ResidentMegabytes} MB");
            run.Expect(after.ResidentMegabytes - before.ResidentMegabytes < 150 + (readers.Count * 2),
                $"{readers.Count} slow readers cost {after.ResidentMegabytes - before.ResidentMegabytes} MB");
        }
        finally
        {
            foreach (var reader in readers)
                reader.Dispose();
        }

        var (p99Before, p99Meanwhile) = (load.AckP99(TimeSpan.Zero, calm), load.AckP99(calm, load.Now));
        run.Note("others' ack p99", $"{p99Before.TotalMilliseconds:0} ms before, {p99Meanwhile.TotalMilliseconds:0} ms meanwhile");
        // On a busy machine they have waited before.
        var bearable = TimeSpan.FromSeconds(Math.Max(1, 5 * p99Before.TotalSeconds));
        run.Expect(p99Meanwhile < bearable, $"others waited {p99Meanwhile.TotalMilliseconds:0} ms for their acks");
        run.Heal(load);
        await run.JudgeAsync(cluster, load);
        run.Expect(load.Closes.Count == 0, "others were closed as well");

        bool IsCut(int port) => !Cluster.IsEstablished(cluster.Nodes[0].Port, port);
    }

    /// <summary>The network between some clients and their node goes silent: no FIN, no RST.</summary>
    public static async Task HalfOpenAsync(ExperimentRun run)
    {
        var (ping, timeout) = (TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(4));
        await using var cluster = await run.StartAsync(new Plan
        {
            Nodes = 1,
            Node =
            { ["Limits__PingInterval"] = $"{ping}", ["Limits__PingTimeout"] = $"{timeout}", ["Limits__CloseTimeout"] = "00:00:02" }
        });
        await using var load = await run.TalkAsync(cluster);
        await using var network = new FaultProxy(run.Environment.Ports.Next(), cluster.Nodes[0].Port);
        var silent = new List<TcpSocket>();
        for (var i = 0; i < run.Sized(10, 50); i++)
            silent.Add(await OpenAsync(network.Port, load.People[i % load.People.Count], receiveBuffer: 64 * 1024));
        var ports = network.Ports;
        run.Expect(ports.Count == silent.Count, "the devices are not connected");
        network.Set(Way.Stalled);
        var took = await Wait.HoldsAsync(
            TimeSpan.FromSeconds(30), () => Task.FromResult(!ports.Any(port => Cluster.IsEstablished(cluster.Nodes[0].Port, port))));
        run.Expect(took is not null, "half-open connections were kept");
        if (took is { } after)
        {
            run.Note("noticed after", after);
            run.Expect(after < timeout + TimeSpan.FromSeconds(11), $"half-open connections were noticed after {after.TotalSeconds:0} s");
        }

        foreach (var peer in silent)
            peer.Dispose();
        network.Heal();
        network.Reset();
        run.Heal(load);
        await run.JudgeAsync(cluster, load);
    }

    /// <summary>Connections are reset in the middle of a frame, in both directions, repeatedly.</summary>
    public static async Task ResetAsync(ExperimentRun run)
    {
        await using var cluster = await run.StartAsync(new Plan { Nodes = 1 });
        await using var load = await run.TalkAsync(cluster);
        await using var network = new FaultProxy(run.Environment.Ports.Next(), cluster.Nodes[0].Port);
        var began = Stopwatch.GetTimestamp();
        var resets = 0;
        while (Stopwatch.GetElapsedTime(began).TotalSeconds < run.Sized(4, 20))
        {
            // The header of a long frame and a part of its body, then RST.
            network.CutAfter(run.Random.Next(200, 4000));
            for (var i = 0; i < 10; i++)
            {
                using var peer = await OpenAsync(
                    network.Port, load.People[run.Random.Next(load.People.Count)], receiveBuffer: 64 * 1024, isPatient: false);
                try
                {
                    await peer.SendAsync(
                        (byte[])[0x81, 0xFE, 0x10, 0x00, 1, 2, 3, 4, .. RandomNumberGenerator.GetBytes(run.Random.Next(1, 3000))]);
                }
                catch (SocketException)
                {
                    // The proxy was faster.
                }

                peer.LingerState = new LingerOption(true, 0);
                resets++;
            }

            network.Reset();
        }

        run.Note("resets", $"{resets}");
        run.Heal(load);
        await run.JudgeAsync(cluster, load);
        run.Expect(load.Closes.Count == 0, "others were closed as well");
    }

    /// <summary>Makes a handshake as raw bytes and then reads nothing more.</summary>
    private static async Task<TcpSocket> OpenAsync(int port, Person person, int receiveBuffer, bool isPatient = true)
    {
        var socket = await RawSocket.ConnectAsync(port, receiveBuffer: receiveBuffer);
        await socket.SendAsync(RawSocket.Handshake(person.Token));
        if (isPatient)
        {
            // Read byte by byte, it would be read past the response; a part of the first frames may be read as well.
            var buffer = new byte[Handshake];
            var length = await socket.ReceiveAsync(buffer);
            if (!Encoding.ASCII.GetString(buffer, 0, length).StartsWith("HTTP/1.1 101", StringComparison.Ordinal))
                throw new InvalidOperationException($"No handshake: {Encoding.ASCII.GetString(buffer, 0, length)}");
        }

        return socket;
    }
}
