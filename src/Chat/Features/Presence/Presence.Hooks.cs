using System.Net.Http.Json;
using System.Text.Json;
using Chat.Backplane;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace Chat.Features;

internal static class PresenceHooks
{
    /// <summary>A lease that nobody renews or gives back: what a killed node leaves behind.</summary>
    public static Task HoldLease(this ChatApp app, TestUser user) => app.Leases().AddAsync(user.Id, Guid.NewGuid());

    /// <summary>Lets a user's leases run out, as if nobody had renewed them; those that are gone meanwhile stay gone.</summary>
    public static Task ExpireLeases(this ChatApp app, TestUser user) =>
        app.ExpireLeases(user, app.Leases().RedisTime);

    /// <summary>The same at a time to come.</summary>
    public static Task ExpireLeases(this ChatApp app, TestUser user, DateTimeOffset when) =>
        app.Services.GetRequiredService<RedisConnection>().ExpireLeases(user.Id, when);

    /// <summary>The same without a node.</summary>
    public static async Task ExpireLeases(this RedisConnection redis, Guid userId, DateTimeOffset now)
    {
        var ended = now.ToUnixTimeMilliseconds() - 1;
        foreach (var lease in await redis.Database.SortedSetRangeByRankAsync(redis.Keys.Online(userId)))
            await redis.Database.SortedSetAddAsync(redis.Keys.Online(userId), lease, ended, When.Exists);
        await redis.Database.SortedSetAddAsync(redis.Keys.Leases, userId.ToString(), ended, When.Exists);
    }

    /// <summary>Lets Redis lose all it knows of these users and of who is online.</summary>
    public static async Task LoseLeases(this ChatApp app, params TestUser[] users)
    {
        var redis = app.Services.GetRequiredService<RedisConnection>();
        await redis.Database.KeyDeleteAsync([redis.Keys.Leases, .. users.Select(user => redis.Keys.Online(user.Id))]);
    }

    /// <summary>How many connections of a user hold a lease.</summary>
    public static long HeldLeases(this ChatApp app, TestUser user)
    {
        var redis = app.Services.GetRequiredService<RedisConnection>();
        return redis.Database.SortedSetLength(redis.Keys.Online(user.Id));
    }

    /// <summary>The server's own handle on the leases.</summary>
    public static PresenceLeases Leases(this ChatApp app) => app.Services.GetRequiredService<PresenceLeases>();

    /// <summary>Who is there, as <c>GET /chat/presence</c> tells one user of others.</summary>
    public static async Task<IReadOnlyDictionary<Guid, JsonElement>> Presence(this ChatApp app, TestUser caller, params TestUser[] asked)
    {
        var answer = await app.Http(caller).GetFromJsonAsync<JsonElement>($"/chat/presence?userIds={string.Join(',', asked.Select(user => user.Id))}");
        return answer.GetProperty("users").EnumerateArray().ToDictionary(status => status.GetProperty("userId").GetGuid());
    }

    /// <summary>Whether an entry of a status list says that its user is there.</summary>
    public static bool IsOnline(this JsonElement status) => status.GetProperty("online").GetBoolean();
}
