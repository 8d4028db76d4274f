using Chat.Hosting;

namespace Chat.Embedded;

/// <summary>Replaces the embedded servers in a build without them (<c>EmbeddedServers=false</c>, as in the image).</summary>
internal sealed class EmbeddedServers : IAsyncDisposable
{
    private static readonly string[] Names = ["Postgres", "Redis"];

    private EmbeddedServers()
    {
    }

    /// <summary>Starts nothing.</summary>
    /// <exception cref="StartupException">Development lacks a connection string, so that an embedded server would be needed.</exception>
    public static Task<EmbeddedServers> StartAsync(IConfiguration configuration, IHostEnvironment environment)
    {
        var missing = Names.Where(name => string.IsNullOrWhiteSpace(configuration.GetConnectionString(name)))
            .Select(name => $"ConnectionStrings__{name}").ToArray();
        if (environment.IsDevelopment() && missing.Length > 0)
            throw new StartupException($"This build has no embedded servers (EmbeddedServers=false); set {string.Join(" and ", missing)}.");
        return Task.FromResult(new EmbeddedServers());
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
