using System.Net;
using Chat.Hosting;

namespace Chat.Commands;

/// <summary>Queries the health of a running server: for containers that have neither a shell nor curl.</summary>
internal static class HealthCommand
{
    private const int DefaultPort = 5000;

    // An image's health check times out after five seconds.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(4);

    /// <summary>Queries the server and prints the response.</summary>
    /// <returns>0 for a 200, else 1.</returns>
    public static async Task<int> RunAsync(IConfiguration configuration, string? operand)
    {
        var isOwn = operand?.Contains("://", StringComparison.Ordinal) != true;
        var address = isOwn ? OwnAddress(configuration, operand ?? "ready") : AddressOf(operand!);
        using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        // It is reached by an address that no certificate names.
        if (isOwn)
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null;
        using var http = new HttpClient(handler) { Timeout = Deadline };
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (isOwn && AllowedHost(configuration) is { } host)
            request.Headers.Host = host;
        try
        {
            using var response = await http.SendAsync(request);
            var answer = await response.Content.ReadAsStringAsync();
            if (response.StatusCode == HttpStatusCode.OK)
            {
                Console.WriteLine(answer);
                return 0;
            }

            await Console.Error.WriteLineAsync($"{address} returned {(int)response.StatusCode}: {answer.ReplaceLineEndings(" ")}");
        }
        catch (Exception failure) when (failure is HttpRequestException or OperationCanceledException)
        {
            var reason = failure is HttpRequestException ? failure.Message : $"no answer within {Deadline.TotalSeconds:0} s.";
            await Console.Error.WriteLineAsync($"No server answered at {address}: {reason.ReplaceLineEndings(" ")}");
        }

        return 1;
    }

    /// <summary>Returns the local address of the server with these settings.</summary>
    internal static Uri OwnAddress(IConfiguration configuration, string path)
    {
        var urls = configuration.GetSection("Kestrel").GetSection("Endpoints").GetChildren().Select(endpoint => endpoint["Url"])
            .Concat((configuration["urls"] ?? "").Split(';'))
            .Concat((configuration["http_ports"] ?? "").Split(';').Where(port => port.Length > 0).Select(port => $"http://*:{port}"))
            .Concat((configuration["https_ports"] ?? "").Split(';').Where(port => port.Length > 0).Select(port => $"https://*:{port}"))
            .Append($"http://localhost:{DefaultPort}")
            .OfType<string>()
            .First(url => !string.IsNullOrWhiteSpace(url));
        var bound = BindingAddress.Parse(urls.Trim());
        if (bound.IsUnixPipe || bound.IsNamedPipe || bound.Port == 0)
            throw new StartupException(
                $"The server listens at {urls.Trim()}, from which no address can be derived; " +
                $"pass one, such as {CommandArguments.Health} http://127.0.0.1:8080/health/ready.");
        var host = bound.Host is "*" or "+" or "0.0.0.0" or "[::]" ? "localhost" : bound.Host;
        return new Uri($"{bound.Scheme}://{host}:{bound.Port}/health/{path}");
    }

    private static Uri AddressOf(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
        ? address
        : throw new StartupException($"'{text}' is not an http or https address.");

    // Wildcard patterns are not usable as a name; without a list every name is allowed.
    private static string? AllowedHost(IConfiguration configuration) =>
        (configuration["AllowedHosts"] ?? "").Split(
            ';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is { Length: > 0 } hosts && !hosts.Contains("*")
            ? Array.Find(hosts, host => !host.Contains('*', StringComparison.Ordinal))
            : null;
}
