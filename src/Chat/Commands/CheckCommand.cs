using System.Globalization;
using Chat.Backplane;
using Chat.Hosting;
using Chat.Socket;
using Chat.Storage;
using Chat.Tokens;
using Marten;
using Npgsql;
using StackExchange.Redis;

namespace Chat.Commands;

/// <summary>
/// Tests each requirement of a startup and reports all failures at once, for whoever sets up an installation. Changes nothing but a
/// key in Redis that expires by itself.
/// </summary>
internal sealed class CheckCommand(IServiceProvider services, IHostEnvironment environment, TimeProvider time)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    /// <summary>Prints the configuration errors, one line each.</summary>
    /// <returns>Whether there are any, in which case the other parts cannot be tested.</returns>
    public static bool PrintErrors(IEnumerable<string> errors)
    {
        var lines = errors.ToArray();
        foreach (var error in lines)
            Print("settings", $"FAILED: {error}");
        return lines.Length > 0;
    }

    /// <summary>Tests the parts and prints one line each.</summary>
    /// <returns>0 if a server can start with these settings, else 1.</returns>
    public async Task<int> RunAsync()
    {
        Print("settings", "ok");
        (string Part, Func<Task<string>> Test)[] parts = [("files", Files), ("postgres", PostgresAsync), ("schema", SchemaAsync),
            ("clock", ClockAsync), ("redis", RedisAsync), ("issuer", IssuerAsync)];
        var failed = 0;
        foreach (var (part, test) in parts)
        {
            try
            {
                Print(part, await test().WaitAsync(Deadline, time));
            }
            catch (Exception failure) when (failure is StartupException or NpgsqlException or RedisException or TimeoutException
                or InvalidOperationException)
            {
                failed++;
                var reason = failure switch
                {
                    StartupException => failure.Message,
                    RedisException => RedisConnection.ReasonOf(failure),
                    _ => DatabaseFailure.ReasonOf(failure),
                };
                Print(part, $"FAILED: {reason}");
            }
        }

        return failed == 0 ? 0 : 1;
    }

    private static void Print(string part, string verdict) => Console.WriteLine($"{part,-10}{verdict}");

    private Task<string> Files()
    {
        var descriptors = services.GetRequiredService<FileDescriptorBudget>();
        return Task.FromResult(descriptors.Allowed == long.MaxValue
            ? "ok" : string.Create(CultureInfo.InvariantCulture, $"ok: {descriptors.Allowed:N0} open files allowed (ulimit -n)"));
    }

    private async Task<string> PostgresAsync()
    {
        var database = services.GetRequiredService<NpgsqlDataSource>();
        await using var connection = await database.OpenConnectionAsync();
        if (await SessionPooling.IsByTransactionAsync(connection, database))
            throw new StartupException("a pooler uses transaction pooling; set pool_mode = session in PgBouncer.");
        var (version, place) = (connection.PostgreSqlVersion, $"{connection.Host}:{connection.Port}, database {connection.Database}");
        var unsafeSettings = environment.IsDevelopment() ? null : await DatabaseStartup.UnsafeSettingsAsync(database);
        return $"ok: {version} at {place}{(unsafeSettings is null ? "" : $"; {unsafeSettings} off: acknowledged messages may be lost")}";
    }

    private async Task<string> SchemaAsync()
    {
        var store = services.GetRequiredService<IDocumentStore>();
        if (await SchemaState.FindDifferenceAsync(store) is not { } error)
        {
            // Only this detects missing privileges, and a standby that rejects writes.
            await services.GetRequiredService<DatabaseMonitor>().ProbeAsync(CancellationToken.None);
            return $"ok: {store.Options.DatabaseSchemaName}";
        }

        return environment.IsDevelopment() ? "ok: will be created at startup" : throw new StartupException($"{error} Run db-apply.");
    }

    private async Task<string> ClockAsync()
    {
        await using var command = services.GetRequiredService<NpgsqlDataSource>().CreateCommand("select clock_timestamp()");
        var startedAt = time.GetUtcNow();
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        var ahead = startedAt + ((time.GetUtcNow() - startedAt) / 2) - reader.GetFieldValue<DateTimeOffset>(0);
        var text = string.Create(CultureInfo.InvariantCulture,
            $"{ahead.Duration().TotalSeconds:0.0} s {(ahead < TimeSpan.Zero ? "behind" : "ahead of")} PostgreSQL's");
        return ahead.Duration() <= JwtSettings.ClockSkew
            ? $"ok: {text}" : throw new StartupException($"{text}: new tokens could be refused, or expired ones accepted.");
    }

    private async Task<string> RedisAsync()
    {
        var redis = services.GetRequiredService<RedisConnection>();
        await redis.StartAsync(CancellationToken.None);
        if (!redis.IsConnected)
            throw new StartupException(
                "it does not answer, or rejects the connection; check address, password and TLS in ConnectionStrings__Redis.");
        await redis.Database.StringSetAsync(redis.Keys.Ready(redis.NodeId), 1, Deadline);
        var channel = redis.Channel(redis.Keys.Node(redis.NodeId));
        var messages = await redis.Subscriber.SubscribeAsync(channel);
        await redis.Database.PublishAsync(channel, "check");
        using var deadline = new CancellationTokenSource(RedisConnection.Timeout, time);
        try
        {
            await messages.ReadAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new StartupException(
                "it executes commands, but does not deliver a message published to itself; check its ACL (+subscribe, channels chat:*).");
        }

        return "ok: accepts writes and delivers messages";
    }

    private async Task<string> IssuerAsync()
    {
        var keys = services.GetRequiredService<IssuerKeys>();
        if (keys.AreSymmetric)
            return "ok: Jwt__Key is shared with it";
        return await keys.FetchAsync()
            ? "ok: its keys are available" : throw new StartupException($"its keys cannot be fetched: {keys.Reason ?? "no answer"}");
    }
}
