using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Chat.Features;

/// <summary>Prints what to try next when the server starts listening. Only in Development; contains no token.</summary>
internal sealed class DevelopmentBanner(
    IServer server, IHostApplicationLifetime lifetime, IHostEnvironment environment, IConfiguration configuration) : IHostedService
{
    private const string Http1 = nameof(HttpProtocols.Http1);

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (environment.IsDevelopment())
            lifetime.ApplicationStarted.Register(Print);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>
    /// Returns the address for the printed commands, usable by a browser and by curl: the first without TLS, because a
    /// development certificate may be untrusted, otherwise the first with TLS. Skips Unix sockets and HTTP/2-only endpoints.
    /// </summary>
    internal static string? FirstThatServes(IEnumerable<string> addresses, IConfiguration kestrel)
    {
        var defaultProtocols = kestrel.GetSection("EndpointDefaults")["Protocols"] ?? Http1;
        var protocols = kestrel.GetSection("Endpoints").GetChildren().Where(endpoint => endpoint["Url"] is not null)
    .ToLookup(endpoint => BindingAddress.Parse(endpoint["Url"]!).Port, endpoint => endpoint["Protocols"] ?? defaultProtocols);
        return addresses
            .Select(address => (Text: address, Bound: BindingAddress.Parse(address)))
            .Where(address => !address.Bound.IsUnixPipe && !address.Bound.IsNamedPipe)
    .Where(
        address => (protocols[address.Bound.Port].FirstOrDefault() ?? defaultProtocols).Contains(Http1, StringComparison.OrdinalIgnoreCase))
            .OrderBy(address => address.Bound.Scheme)
            .Select(address => address.Text.Replace("[::]", "localhost", StringComparison.Ordinal)
            .Replace("0.0.0.0", "localhost", StringComparison.Ordinal))
            .FirstOrDefault();
    }

    private void Print()
    {
        var addresses = server.Features.Get<IServerAddressesFeature>()?.Addresses ?? [];
        if (FirstThatServes(addresses, configuration.GetSection("Kestrel")) is not { } http)
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
