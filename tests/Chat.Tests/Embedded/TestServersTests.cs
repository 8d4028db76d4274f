using Chat.Tests.Fixtures;
using Npgsql;
using StackExchange.Redis;

namespace Chat.Tests.Embedded;

public sealed class TestServersTests
{
    [Fact]
    public async Task All_tests_share_the_same_real_servers()
    {
        var servers = await TestServers.Get();
        Assert.Same(servers, await TestServers.Get());

        await using var connection = new NpgsqlConnection(servers.Postgres);
        await connection.OpenAsync();
        Assert.True(connection.PostgreSqlVersion.Major >= 12);

        await using var redis = await ConnectionMultiplexer.ConnectAsync(servers.Redis);
        var key = $"test:{Guid.NewGuid():N}";
        Assert.True(await redis.GetDatabase().SortedSetAddAsync(key, "lease", 1));
        Assert.True(await redis.GetDatabase().KeyExpireAsync(key, TimeSpan.FromMinutes(1)));

        var heard = await redis.GetSubscriber().SubscribeAsync(RedisChannel.Literal(key));
        await redis.GetSubscriber().PublishAsync(RedisChannel.Literal(key), "hello");
        Assert.Equal("hello", (await heard.ReadAsync()).Message);
    }
}
