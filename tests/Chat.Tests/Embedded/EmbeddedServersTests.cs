using Chat.Embedded;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;

namespace Chat.Tests.Embedded;

public sealed class EmbeddedServersTests : IDisposable
{
    private readonly TempFolder temp = new();

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task Nothing_starts_outside_Development()
    {
        using var configuration = new ConfigurationManager();

        await using var servers = await EmbeddedServers.StartAsync(configuration, Environment(Environments.Production));

        Assert.Null(configuration.GetConnectionString("Postgres"));
        Assert.Null(configuration.GetConnectionString("Redis"));
        Assert.Empty(Directory.EnumerateFileSystemEntries(temp.Path));
    }

    [Fact]
    public async Task Configured_values_are_kept()
    {
        using var configuration = new ConfigurationManager();
        configuration["ConnectionStrings:Postgres"] = "Host=elsewhere";

        await using var servers = await EmbeddedServers.StartAsync(configuration, Environment(Environments.Development));

        Assert.Equal("Host=elsewhere", configuration.GetConnectionString("Postgres"));
        Assert.StartsWith("127.0.0.1:", configuration.GetConnectionString("Redis"), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(temp.Path));
    }

    [Fact]
    public async Task Data_is_stored_below_the_content_root()
    {
        using var configuration = new ConfigurationManager();

        await using var servers = await EmbeddedServers.StartAsync(configuration, Environment(Environments.Development));

        Assert.Contains("Host=127.0.0.1;", configuration.GetConnectionString("Postgres"), StringComparison.Ordinal);
        Assert.True(File.Exists(Postmaster.PidFile(temp.Below(".data"))));
    }

    private HostingEnvironment Environment(string name) => new() { EnvironmentName = name, ContentRootPath = temp.Path };
}
