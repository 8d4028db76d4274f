using Chat.Tests.Fixtures;

namespace Chat.Tests.Embedded;

/// <summary>PostgreSQL ends with the server, however that ends. The server is a real process here.</summary>
public sealed class EmbeddedLifetimeTests : IDisposable
{
    private readonly TempFolder temp = new();

    private string Data => temp.Below("data");

    public void Dispose() => temp.Dispose();

    [UnixFact]
    public async Task Sigterm_stops_the_server_and_its_postgres()
    {
        using var server = await ServerProcess.StartListening(Data);
        var postmaster = Postmaster.Id(Data);

        server.Terminate();

        Assert.Equal(0, await server.Exit());
        Assert.False(Postmaster.Lives(postmaster));
    }

    [UnixFact]
    public async Task A_killed_server_leaves_no_postgres_and_a_new_one_starts_at_once()
    {
        using var server = await ServerProcess.StartListening(Data);
        var postmaster = Postmaster.Id(Data);

        server.Kill();
        await server.Exit();
        using var next = await ServerProcess.StartListening(Data);
        var its = Postmaster.Id(Data);

        Assert.False(Postmaster.Lives(postmaster));
        Assert.True(Postmaster.Lives(its));

        next.Kill();
        await Eventually.Until("PostgreSQL has gone", () => !Postmaster.Lives(its));
    }

    [UnixFact]
    public async Task Killing_the_process_tree_leaves_no_postgres()
    {
        using var server = await ServerProcess.StartListening(Data);
        var postmaster = Postmaster.Id(Data);

        server.Kill(tree: true);

        await Eventually.Until("PostgreSQL has gone", () => !Postmaster.Lives(postmaster));
    }

    [UnixFact]
    public async Task A_second_instance_reports_the_first_and_exits()
    {
        using var server = await ServerProcess.StartListening(Data);
        var postmaster = Postmaster.Id(Data);
        using var second = ServerProcess.Launch(Data);

        Assert.Equal(1, await second.Exit());
        Assert.StartsWith($"Another server process is using the data folder {Data}.", second.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', second.Errors);

        server.Kill();
        await Eventually.Until("PostgreSQL has gone", () => !Postmaster.Lives(postmaster));
    }
}
