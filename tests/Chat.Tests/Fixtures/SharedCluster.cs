namespace Chat.Tests.Fixtures;

/// <summary>Two nodes of one installation for the tests of a class, each of which uses its own users.</summary>
public sealed class SharedCluster : IAsyncLifetime
{
    public ChatApp First { get; private set; } = null!;

    public ChatApp Second { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        First = await ChatApp.Start();
        Second = await First.StartNode();
    }

    public async Task DisposeAsync()
    {
        await Second.DisposeAsync();
        await First.DisposeAsync();
    }
}
