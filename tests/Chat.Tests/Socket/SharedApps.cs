using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>One server whose clock the tests of a class advance. They run in sequence, each with its own sockets.</summary>
public sealed class SharedClock : IAsyncLifetime
{
    public ChatApp App { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        App = await ChatApp.Start(fakeClock: true);
        // Services start in the background, and a timer misses the time before it exists: wait for the heartbeat.
        await using var silent = await App.Open();
        await Eventually.Until("the heartbeat beats", () =>
        {
            App.Clock!.Advance(TimeSpan.FromSeconds(1));
            return silent.IsClosed;
        });
    }

    public async Task DisposeAsync() => await App.DisposeAsync();
}

/// <summary>One server on a real port, for what requires real frames.</summary>
public sealed class SharedKestrel : IAsyncLifetime
{
    public ChatApp App { get; private set; } = null!;

    public async Task InitializeAsync() => App = await ChatApp.Start(onKestrel: true);

    public async Task DisposeAsync() => await App.DisposeAsync();
}
