using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Chat.Features;

/// <summary>Tells a developer, once the server listens, what to try next. Development alone, and no token in it.</summary>
internal sealed class Welcome(IServer server, IHostApplicationLifetime lifetime, IHostEnvironment environment) : IHostedService
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private Task printing = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (environment.IsDevelopment())
            lifetime.ApplicationStarted.Register(() => printing = PrintAsync());
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => printing.WaitAsync(cancellationToken);

    /// <summary>The first address at which the lines below work: a socket file, HTTP/2 alone, or a certificate that nobody trusts is none.</summary>
    internal static async Task<string?> FirstThatServesAsync(IEnumerable<string> addresses, CancellationToken stopping)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = Patience };
        foreach (var bound in addresses)
        {
            var address = bound.Replace("[::]", "localhost", StringComparison.Ordinal).Replace("0.0.0.0", "localhost", StringComparison.Ordinal);
            try
            {
                using var answer = await http.GetAsync(new Uri($"{address}/health/live"), stopping);
                if (answer.IsSuccessStatusCode)
                    return address;
            }
            catch (Exception failure) when (failure is HttpRequestException or UriFormatException or OperationCanceledException)
            {
                // The next one is asked.
            }
        }

        return null;
    }

    private async Task PrintAsync()
    {
        var addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        if (await FirstThatServesAsync(addresses, lifetime.ApplicationStopping) is not { } http)
            return;
        var token = $"""curl -s {http}/dev/token -H 'Content-Type: application/json' -d '{"{"}"username":"alice"{"}"}'""";
        Console.WriteLine($"""

            Chat listens on {http}
              chat:     open it in two browser windows, and sign in as two people
              a token:  {token}
              connect:  npx -y wscat -c "ws{http[4..]}/chat/ws?token=$({token} | sed 's/.*"token":"\([^"]*\)".*/\1/')"

            """);
    }
}
