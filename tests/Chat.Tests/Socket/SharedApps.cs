using Chat.Tests.Fixtures;

namespace Chat.Tests.Socket;

/// <summary>One app whose clock the tests of a class move. They run one after the other, each with sockets of its own.</summary>
public sealed class SharedClock : IAsyncLifetime
{
    public ChatApp App { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        App = await ChatApp.Start(fakeClock: true);
        // Services start in the background, and a timer that is not there yet misses what passes: the heartbeat beats.
        await using var silent = await App.Open();
        await Eventually.Holds("the heartbeat beats", () =>
        {
            App.Clock!.Advance(TimeSpan.FromSeconds(1));
            return silent.IsClosed;
        });
    }

    public async Task DisposeAsync() => await App.DisposeAsync();
}

/// <summary>One app on a real port, for what only real frames can show.</summary>
public sealed class SharedKestrel : IAsyncLifetime
{
    public ChatApp App { get; private set; } = null!;

    public async Task InitializeAsync() => App = await ChatApp.Start(onKestrel: true);

    public async Task DisposeAsync() => await App.DisposeAsync();
}
