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
/// Somebody who wants the node for themselves: one account at most, one address that nobody else has, and as many sockets and
/// calls at a time as they like. What came of each is counted.
/// </summary>
internal sealed class Attack : IDisposable
{
    private const string Accepted = "HTTP/1.1 101";
    private const int Openers = 8;
    private static readonly IPAddress Home = new([127, 66, 0, 1]);
    private static readonly string[] Answers = [Accepted, "HTTP/1.1 503"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

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
            ConnectCallback = async (_, cancellation) => new NetworkStream(await RawSocket.ConnectAsync(node.Port, Home, cancellation: cancellation), ownsSocket: true),
        })
        {
            BaseAddress = node.Address,
            Timeout = TimeSpan.FromSeconds(60),
        };
        Token = Cluster.TokenFor(user);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
    }

    public string Token { get; }

    /// <summary>What came of it.</summary>
    public string Outcome => string.Join(", ", counts.OrderBy(count => count.Key, StringComparer.Ordinal).Select(count => $"{count.Value} {count.Key}"));

    /// <summary>Opens conversations with people who are not there.</summary>
    public async Task<IReadOnlyList<Guid>> MeetAsync(int people)
    {
        var opened = new ConcurrentBag<Guid>();
        await Parallel.ForEachAsync(Enumerable.Range(0, people), new ParallelOptions { MaxDegreeOfParallelism = Openers }, async (_, cancellation) =>
        {
            using var answer = await http.PostAsJsonAsync(new Uri("/chat/conversations", UriKind.Relative), new { userId = Guid.NewGuid() }, cancellation);
            answer.EnsureSuccessStatusCode();
            opened.Add((await answer.Content.ReadFromJsonAsync<JsonElement>(cancellation)).GetProperty("id").GetGuid());
        });
        return [.. opened];
    }

    /// <summary>Says something in each conversation, as often as this.</summary>
    public Task FillAsync(IReadOnlyList<Guid> conversations, int messages, string content) => Parallel.ForEachAsync(
        conversations.SelectMany(conversation => Enumerable.Repeat(conversation, messages)), new ParallelOptions { MaxDegreeOfParallelism = Openers }, async (conversation, cancellation) =>
        {
            // Written by hand: as escapes it would be larger than a body may be.
            using var body = new StringContent($$"""{"content":"{{content}}","tempId":"{{Guid.NewGuid()}}"}""", Encoding.UTF8, "application/json");
            using var answer = await http.PostAsync(new Uri($"/chat/conversations/{conversation}/messages", UriKind.Relative), body, cancellation);
            answer.EnsureSuccessStatusCode();
        });

    /// <summary>Does it again and again, so many side by side, until it is enough.</summary>
    /// <param name="atOnce">How many.</param>
    /// <param name="pause">The least time that one of them takes.</param>
    /// <param name="doAsync">What the one with this number does; returns what is to be counted.</param>
    /// <param name="enough">Ends it.</param>
    public Task RepeatAsync(int atOnce, TimeSpan pause, Func<int, CancellationToken, Task<string>> doAsync, CancellationToken enough) =>
        Task.WhenAll(Enumerable.Range(0, atOnce).Select(number => Task.Run(async () =>
        {
            while (!enough.IsCancellationRequested)
            {
                var paused = Task.Delay(pause, CancellationToken.None);
                try
                {
                    Count(await doAsync(number, enough));
                }
                catch (OperationCanceledException) when (enough.IsCancellationRequested)
                {
                    Count("under way at the end");
                    return;
                }
                catch (Exception failure) when (failure is SocketException or IOException or HttpRequestException or OperationCanceledException)
                {
                    Count("broken off");
                }

                await paused;
            }
        })));

    /// <summary>One REST call, of which everything is read.</summary>
    public async Task<string> CallAsync(string path, CancellationToken enough)
    {
        using var answer = await http.GetAsync(new Uri(path, UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, enough);
        await answer.Content.CopyToAsync(Stream.Null, enough);
        return answer.IsSuccessStatusCode ? "answered" : $"answered {(int)answer.StatusCode}";
    }

    /// <summary>Signs in, and is gone again.</summary>
    public async Task<string> SignInAsync(CancellationToken enough)
    {
        using var patience = Within(Patience, enough);
        using var socket = await OpenAsync(Token, patience.Token);
        return socket is null ? "refused" : await RawSocket.ReadUntilAsync(socket, ["auth_success"], patience.Token) is null ? "ended by the node" : "let in";
    }

    /// <summary>Signs in, says something, and reads a little at a time as long as the node puts up with it.</summary>
    public async Task<string> ReadSlowlyAsync(string json, CancellationToken enough)
    {
        using var socket = await OpenAsync(Token, enough, receiveBuffer: 4096);
        if (socket is null)
            return "refused";
        await socket.SendAsync(RawSocket.Text(json), enough);
        var buffer = new byte[4096];
        while (await RawSocket.ReadAsync(socket, buffer, enough) > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(100), enough);
        return "ended by the node";
    }

    /// <summary>Opens a socket, sends these bytes, and waits for its end without answering anything.</summary>
    /// <param name="token">Good, bad or none.</param>
    /// <param name="bytes">What is sent once the socket is open.</param>
    /// <param name="enough">Ends it.</param>
    public async Task<string> OutwaitAsync(string? token, byte[] bytes, CancellationToken enough)
    {
        using var socket = await OpenAsync(token, enough);
        if (socket is null)
            return "refused";
        if (bytes.Length > 0)
            await socket.SendAsync(bytes, enough);
        await RawSocket.ReadUntilAsync(socket, [], enough);
        return "ended by the node";
    }

    /// <summary>Connects and says nothing, as long as the node puts up with it.</summary>
    public async Task<string> SayNothingAsync(CancellationToken enough)
    {
        using var socket = await RawSocket.ConnectAsync(node.Port, Home, cancellation: enough);
        await RawSocket.ReadUntilAsync(socket, [], enough);
        return "cut in silence";
    }

    public void Dispose() => http.Dispose();

    // Null if the node does not take it now.
    private async Task<TcpSocket?> OpenAsync(string? token, CancellationToken enough, int? receiveBuffer = null)
    {
        var socket = await RawSocket.ConnectAsync(node.Port, Home, receiveBuffer, enough);
        try
        {
            // Ends with a reset: what is closed in order keeps its port for a minute.
            socket.LingerState = new LingerOption(true, 0);
            await socket.SendAsync(RawSocket.Handshake(token), enough);
            if (await RawSocket.ReadUntilAsync(socket, Answers, enough) == Accepted)
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

    private static CancellationTokenSource Within(TimeSpan patience, CancellationToken enough)
    {
        var both = CancellationTokenSource.CreateLinkedTokenSource(enough);
        both.CancelAfter(patience);
        return both;
    }

    private void Count(string what) => counts.AddOrUpdate(what, 1, (_, times) => times + 1);
}
