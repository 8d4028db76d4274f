using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Chat.Features;

/// <summary>Tells a developer, once the server listens, what to try next. Development alone, and no token in it.</summary>
internal sealed class Welcome(IServer server, IHostApplicationLifetime lifetime, IHostEnvironment environment) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (environment.IsDevelopment())
            lifetime.ApplicationStarted.Register(Print);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private void Print()
    {
        var address = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault();
        if (address is null)
            return;
        var http = address.Replace("[::]", "localhost", StringComparison.Ordinal).Replace("0.0.0.0", "localhost", StringComparison.Ordinal);
        var token = $"""curl -s {http}/dev/token -H 'Content-Type: application/json' -d '{"{"}"username":"alice"{"}"}'""";
        Console.WriteLine($"""

            Chat listens on {http}
              chat:     open it in two browser windows, and sign in as two people
              a token:  {token}
              connect:  npx -y wscat -c "ws{http[4..]}/chat/ws?token=$({token} | sed 's/.*"token":"\([^"]*\)".*/\1/')"

            """);
    }
}
