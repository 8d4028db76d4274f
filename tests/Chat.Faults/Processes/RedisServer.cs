using System.Diagnostics;
using System.Globalization;
using StackExchange.Redis;

namespace Chat.Faults;

/// <summary>A redis-server process without persistence: killed and restarted, it is empty.</summary>
internal sealed class RedisServer(int port, string logFile, Reaper reaper) : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(20);
    private Child? child;

    /// <summary>Additional settings, <c>--name value</c>, used from the next start on.</summary>
    public List<string> Settings { get; } = [];

    public int Port => port;

    public async Task StartAsync()
    {
        string[] arguments =
            ["--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", .. Settings];
        child = Child.Start(new ProcessStartInfo("redis-server", arguments), logFile, reaper);
        await Wait.UntilAsync("Redis answers", StartLimit, async () =>
        {
            try
            {
                await AskAsync(async redis => await redis.PingAsync());
                return true;
            }
            catch (RedisException)
            {
                return false;
            }
        });
    }

    public async Task KillAsync()
    {
        await child!.DisposeAsync();
        child = null;
    }

    public void Pause() => child!.Send(Signal.Stop);

    public void Resume() => child!.Send(Signal.Continue);

    /// <summary>Connects directly, not through a proxy.</summary>
    public async Task<T> AskAsync<T>(Func<IDatabase, Task<T>> ask)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(
            string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port},connectRetry=1,connectTimeout=1000,allowAdmin=true"));
        return await ask(connection.GetDatabase());
    }

    public async ValueTask DisposeAsync()
    {
        if (child is not null)
            await KillAsync();
    }
}
