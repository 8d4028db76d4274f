using System.Net.Http.Json;
using System.Text.Json;
using Chat.Backplane;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using StackExchange.Redis;

namespace Chat.Features;

internal static class PresenceHooks
{
    /// <summary>Adds a lease that is never renewed or released, as a killed node leaves behind.</summary>
    public static Task HoldLease(this ChatApp app, TestUser user) => app.Leases().AddAsync(user.Id, Guid.NewGuid());

    /// <summary>Expires a user's leases as if their node had stopped renewing; leases released concurrently stay released.</summary>
    public static Task ExpireLeases(this ChatApp app, TestUser user) =>
        app.ExpireLeases(user, app.Leases().RedisTime);

    /// <summary>Expires a user's leases as of a time in the future.</summary>
    public static Task ExpireLeases(this ChatApp app, TestUser user, DateTimeOffset when) =>
        app.Services.GetRequiredService<RedisConnection>().ExpireLeases(user.Id, when);

    /// <summary>Expires a user's leases without a node.</summary>
    public static async Task ExpireLeases(this RedisConnection redis, Guid userId, DateTimeOffset now)
    {
        var expiredAt = now.ToUnixTimeMilliseconds() - 1;
        foreach (var lease in await redis.Database.SortedSetRangeByRankAsync(redis.Keys.Online(userId)))
            await redis.Database.SortedSetAddAsync(redis.Keys.Online(userId), lease, expiredAt, When.Exists);
        await redis.Database.SortedSetAddAsync(redis.Keys.Leases, userId.ToString(), expiredAt, When.Exists);
    }

    /// <summary>Deletes all presence data of these users from Redis.</summary>
    public static async Task LoseLeases(this ChatApp app, params TestUser[] users)
    {
        var redis = app.Services.GetRequiredService<RedisConnection>();
        await redis.Database.KeyDeleteAsync([redis.Keys.Leases, .. users.Select(user => redis.Keys.Online(user.Id))]);
    }

    /// <summary>Returns how many connections of a user hold a lease.</summary>
    public static long HeldLeases(this ChatApp app, TestUser user)
    {
        var redis = app.Services.GetRequiredService<RedisConnection>();
        return redis.Database.SortedSetLength(redis.Keys.Online(user.Id));
    }

    /// <summary>Returns the server's own instance.</summary>
    public static PresenceLeases Leases(this ChatApp app) => app.Services.GetRequiredService<PresenceLeases>();

    /// <summary>Returns the response of <c>GET /chat/presence</c>, by user.</summary>
    public static async Task<IReadOnlyDictionary<Guid, JsonElement>> Presence(this ChatApp app, TestUser caller, params TestUser[] asked)
    {
        var answer = await app.Http(caller)
            .GetFromJsonAsync<JsonElement>($"/chat/presence?userIds={string.Join(',', asked.Select(user => user.Id))}");
        return answer.List("users").ToDictionary(status => status.Id("userId"));
    }

    /// <summary>Returns whether an entry of a status list is online.</summary>
    public static bool IsOnline(this JsonElement status) => status.Flag("online");
}
