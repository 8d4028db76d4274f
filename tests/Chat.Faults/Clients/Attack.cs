using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using TcpSocket = System.Net.Sockets.Socket;

namespace Chat.Faults;

/// <summary>
/// An attacker who tries to monopolize a node: at most one account, one address shared with nobody, and any worker of concurrent
/// sockets and requests. The outcomes are counted.
/// </summary>
internal sealed class Attack : IDisposable
{
    private const string Accepted = "HTTP/1.1 101";
    private const int Openers = 8;
    private static readonly IPAddress Home = new([127, 66, 0, 1]);
    private static readonly string[] Answers = [Accepted, "HTTP/1.1 503"];
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, int> counts = new();
    private readonly ChatNode node;
    private readonly HttpClient http;
    private readonly User user = new(Guid.NewGuid(), "attacker");

    public Attack(ChatNode node)
    {
        this.node = node;
        http = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancellation) =>
                new NetworkStream(await RawSocket.ConnectAsync(node.Port, Home, cancellation: cancellation), ownsSocket: true),
        })
        {
            BaseAddress = node.Address,
            Timeout = TimeSpan.FromSeconds(60),
        };
        Token = Cluster.TokenFor(user);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
    }

    public string Token { get; }

    /// <summary>The worker of each outcome.</summary>
    public string Outcome =>
        string.Join(", ", counts.OrderBy(count => count.Key, StringComparer.Ordinal).Select(count => $"{count.Value} {count.Key}"));

    /// <summary>Opens conversations with users who do not exist.</summary>
    public async Task<IReadOnlyList<Guid>> OpenConversationsAsync(int people)
    {
        var opened = new ConcurrentBag<Guid>();
        await Parallel.ForEachAsync(
            Enumerable.Range(0, people), new ParallelOptions { MaxDegreeOfParallelism = Openers }, async (_, cancellation) =>
        {
            using var answer =
                await http.PostAsJsonAsync(new Uri("/chat/conversations", UriKind.Relative), new { userId = Guid.NewGuid() }, cancellation);
            answer.EnsureSuccessStatusCode();
            opened.Add((await answer.Content.ReadFromJsonAsync<JsonElement>(cancellation)).GetProperty("id").GetGuid());
        });
        return [.. opened];
    }

    /// <summary>Sends this many messages to each conversation.</summary>
    public Task FillAsync(IReadOnlyList<Guid> conversations, int messages, string content) => Parallel.ForEachAsync(
        conversations.SelectMany(conversation => Enumerable.Repeat(conversation, messages)),
        new ParallelOptions { MaxDegreeOfParallelism = Openers }, async (conversation, cancellation) =>
        {
            // Written by hand: escaped JSON would exceed the body limit.
            using var body =
                new StringContent($$"""{"content":"{{content}}","tempId":"{{Guid.NewGuid()}}"}""", Encoding.UTF8, "application/json");
            using var answer =
                await http.PostAsync(new Uri($"/chat/conversations/{conversation}/messages", UriKind.Relative), body, cancellation);
            answer.EnsureSuccessStatusCode();
        });

    /// <summary>Runs an action repeatedly with this concurrency until cancelled.</summary>
    /// <param name="concurrency">The worker of concurrent workers.</param>
    /// <param name="interval">The minimum duration of one iteration.</param>
    /// <param name="actAsync">The action of the worker with this index; returns the outcome to count.</param>
    /// <param name="stop">Ends the attack.</param>
    public Task RepeatAsync(
        int concurrency, TimeSpan interval, Func<int, CancellationToken, Task<string>> actAsync, CancellationToken stop) =>
        Task.WhenAll(Enumerable.Range(0, concurrency).Select(worker => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                var delay = Task.Delay(interval, CancellationToken.None);
                try
                {
                    Count(await actAsync(worker, stop));
                }
                catch (OperationCanceledException) when (stop.IsCancellationRequested)
                {
                    Count("running at the end");
                    return;
                }
                catch (Exception failure) when (failure is SocketException or IOException or HttpRequestException
                    or OperationCanceledException)
                {
                    Count("connection lost");
                }

                await delay;
            }
        })));

    /// <summary>Makes one REST request and reads the whole response.</summary>
    public async Task<string> CallAsync(string path, CancellationToken stop)
    {
        using var answer = await http.GetAsync(new Uri(path, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, stop);
        await answer.Content.CopyToAsync(Stream.Null, stop);
        return answer.IsSuccessStatusCode ? "answered" : $"answered {(int)answer.StatusCode}";
    }

    /// <summary>Signs in and disconnects.</summary>
    public async Task<string> SignInAsync(CancellationToken stop)
    {
        using var timeout = Within(Timeout, stop);
        using var socket = await OpenAsync(Token, timeout.Token);
        return socket is null ? "rejected"
            : await RawSocket.ReadUntilAsync(socket, ["auth_success"], timeout.Token) is null ? "closed by the node" : "signed in";
    }

    /// <summary>Signs in, sends, and reads a little at a time for as long as the node tolerates it.</summary>
    public async Task<string> ReadSlowlyAsync(string json, CancellationToken stop)
    {
        using var socket = await OpenAsync(Token, stop, receiveBuffer: 4096);
        if (socket is null)
            return "rejected";
        await socket.SendAsync(RawSocket.Text(json), stop);
        var buffer = new byte[4096];
        while (await RawSocket.ReadAsync(socket, buffer, stop) > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(100), stop);
        return "closed by the node";
    }

    /// <summary>Opens a socket, sends these bytes, and waits for the end of the connection without answering anything.</summary>
    /// <param name="token">Valid, invalid or none.</param>
    /// <param name="bytes">Sent once the socket is open.</param>
    /// <param name="stop">Ends the attack.</param>
    public async Task<string> SendAndWaitAsync(string? token, byte[] bytes, CancellationToken stop)
    {
        using var socket = await OpenAsync(token, stop);
        if (socket is null)
            return "rejected";
        if (bytes.Length > 0)
            await socket.SendAsync(bytes, stop);
        await RawSocket.ReadUntilAsync(socket, [], stop);
        return "closed by the node";
    }

    /// <summary>Connects and stays silent for as long as the node tolerates it.</summary>
    public async Task<string> StaySilentAsync(CancellationToken stop)
    {
        using var socket = await RawSocket.ConnectAsync(node.Port, Home, cancellation: stop);
        await RawSocket.ReadUntilAsync(socket, [], stop);
        return "closed while silent";
    }

    public void Dispose() => http.Dispose();

    // Null if the node rejects it.
    private async Task<TcpSocket?> OpenAsync(string? token, CancellationToken stop, int? receiveBuffer = null)
    {
        var socket = await RawSocket.ConnectAsync(node.Port, Home, receiveBuffer, stop);
        try
        {
            // Closes with a reset: an orderly close would keep the port in TIME_WAIT for a minute.
            socket.LingerState = new LingerOption(true, 0);
            await socket.SendAsync(RawSocket.Handshake(token), stop);
            if (await RawSocket.ReadUntilAsync(socket, Answers, stop) == Accepted)
                return socket;
            socket.Dispose();
            return null;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static CancellationTokenSource Within(TimeSpan timeout, CancellationToken stop)
    {
        var linked = CancellationTokenSource.CreateLinkedTokenSource(stop);
        linked.CancelAfter(timeout);
        return linked;
    }

    private void Count(string what) => counts.AddOrUpdate(what, 1, (_, times) => times + 1);
}
