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

    /// <summary>In a busy place, devices that do not read. Each costs its queue and no more; then it is closed.</summary>
    public static async Task SlowReadersAsync(Trial trial)
    {
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 1 });
        await using var load = await trial.TalkAsync(cluster, trial.Sized(new Crowd(16, 1, 200), new Crowd(40, 2, 800)));
        await trial.GoOnAsync(2, 5);
        var before = cluster.Nodes[0].Footprint;
        var calm = load.Now;
        var readers = new List<TcpSocket>();
        try
        {
            // All of them are more devices of the same few, so each is brought every message.
            for (var i = 0; i < trial.Sized(20, 100); i++)
                readers.Add(await OpenAsync(cluster.Nodes[0].Port, load.People[i % 2], receiveBuffer: 4096));
            var ports = readers.ConvertAll(reader => ((IPEndPoint)reader.LocalEndPoint!).Port);
            var talking = load.Devices.First(device => device.Person == load.People[0]);
            // The system takes some megabytes for each of them before the node notices anything: how long those take to say is
            // the machine's affair.
            var text = new string('x', 3900);
            var stopped = Stopwatch.GetTimestamp();
            while (!ports.TrueForAll(IsCut) && Stopwatch.GetElapsedTime(stopped) < TimeSpan.FromSeconds(90))
                await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(i => talking.SayAsync($"{text} {talking.Said.Count} {i}")));
            trial.Note("closed after", Stopwatch.GetElapsedTime(stopped));
            var left = await Wait.HoldsAsync(TimeSpan.FromSeconds(20), () => Task.FromResult(ports.TrueForAll(IsCut)));
            trial.Expect(left is not null, $"{ports.Count(port => !IsCut(port))} of {readers.Count} devices that do not read were not closed");
            var after = cluster.Nodes[0].Footprint;
            trial.Note("memory", $"+{after.ResidentMegabytes - before.ResidentMegabytes} MB");
            trial.Expect(after.ResidentMegabytes - before.ResidentMegabytes < 150 + (readers.Count * 2), $"{readers.Count} slow readers cost {after.ResidentMegabytes - before.ResidentMegabytes} MB");
        }
        finally
        {
            foreach (var reader in readers)
                reader.Dispose();
        }

        var (p99Before, p99Meanwhile) = (load.AckP99(TimeSpan.Zero, calm), load.AckP99(calm, load.Now));
        trial.Note("others' ack p99", $"{p99Before.TotalMilliseconds:0} ms before, {p99Meanwhile.TotalMilliseconds:0} ms meanwhile");
        // On a machine that is busy by itself they have waited before.
        var bearable = TimeSpan.FromSeconds(Math.Max(1, 5 * p99Before.TotalSeconds));
        trial.Expect(p99Meanwhile < bearable, $"others waited {p99Meanwhile.TotalMilliseconds:0} ms for their acks");
        trial.Heal(load);
        await trial.JudgeAsync(cluster, load);
        trial.Expect(load.Closes.Count == 0, "others were closed as well");

        bool IsCut(int port) => !Cluster.IsEstablished(cluster.Nodes[0].Port, port);
    }

    /// <summary>The network between some clients and their node falls silent: no FIN, no RST, nothing.</summary>
    public static async Task HalfOpenAsync(Trial trial)
    {
        var (ping, patience) = (TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(4));
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 1, Node = { ["Limits__PingInterval"] = $"{ping}", ["Limits__PingTimeout"] = $"{patience}", ["Limits__CloseTimeout"] = "00:00:02" } });
        await using var load = await trial.TalkAsync(cluster);
        await using var network = new FaultProxy(trial.Workshop.Ports.Next(), cluster.Nodes[0].Port);
        var silent = new List<TcpSocket>();
        for (var i = 0; i < trial.Sized(10, 50); i++)
            silent.Add(await OpenAsync(network.Port, load.People[i % load.People.Count], receiveBuffer: 64 * 1024));
        var ports = network.Ports;
        trial.Expect(ports.Count == silent.Count, "the devices are not connected");
        network.Set(Way.Stalled);
        var took = await Wait.HoldsAsync(TimeSpan.FromSeconds(30), () => Task.FromResult(!ports.Any(port => Cluster.IsEstablished(cluster.Nodes[0].Port, port))));
        trial.Expect(took is not null, "half-open connections were kept");
        if (took is { } after)
        {
            trial.Note("noticed after", after);
            trial.Expect(after < patience + TimeSpan.FromSeconds(11), $"half-open connections were noticed after {after.TotalSeconds:0} s");
        }

        foreach (var peer in silent)
            peer.Dispose();
        network.Heal();
        network.Reset();
        trial.Heal(load);
        await trial.JudgeAsync(cluster, load);
    }

    /// <summary>Connections are reset in the middle of a frame, in both directions, again and again.</summary>
    public static async Task ResetAsync(Trial trial)
    {
        await using var cluster = await trial.StartAsync(new Plan { Nodes = 1 });
        await using var load = await trial.TalkAsync(cluster);
        await using var network = new FaultProxy(trial.Workshop.Ports.Next(), cluster.Nodes[0].Port);
        var began = Stopwatch.GetTimestamp();
        var resets = 0;
        while (Stopwatch.GetElapsedTime(began).TotalSeconds < trial.Sized(4, 20))
        {
            // The head of a long frame, and a part of its body; then nothing but RST.
            network.CutAfter(trial.Random.Next(200, 4000));
            for (var i = 0; i < 10; i++)
            {
                using var peer = await OpenAsync(network.Port, load.People[trial.Random.Next(load.People.Count)], receiveBuffer: 64 * 1024, isPatient: false);
                try
                {
                    await peer.SendAsync((byte[])[0x81, 0xFE, 0x10, 0x00, 1, 2, 3, 4, .. RandomNumberGenerator.GetBytes(trial.Random.Next(1, 3000))]);
                }
                catch (SocketException)
                {
                    // The proxy was quicker.
                }

                peer.LingerState = new LingerOption(true, 0);
                resets++;
            }

            network.Reset();
        }

        trial.Note("resets", $"{resets}");
        trial.Heal(load);
        await trial.JudgeAsync(cluster, load);
        trial.Expect(load.Closes.Count == 0, "others were closed as well");
    }

    /// <summary>A handshake as bytes, and from then on nothing is read.</summary>
    private static async Task<TcpSocket> OpenAsync(int port, Person person, int receiveBuffer, bool isPatient = true)
    {
        var socket = await RawSocket.ConnectAsync(port, receiveBuffer: receiveBuffer);
        await socket.SendAsync(RawSocket.Handshake(person.Token));
        if (isPatient)
        {
            // Byte by byte it would be read past the answer; so much of the first frames may be read, too.
            var buffer = new byte[Handshake];
            var length = await socket.ReceiveAsync(buffer);
            if (!Encoding.ASCII.GetString(buffer, 0, length).StartsWith("HTTP/1.1 101", StringComparison.Ordinal))
                throw new InvalidOperationException($"No handshake: {Encoding.ASCII.GetString(buffer, 0, length)}");
        }

        return socket;
    }
}
