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
/// Tests what a start needs, one part after the other and each to its end: whoever sets an installation up sees all that is
/// wrong at once. Changes nothing but a key in Redis that expires by itself.
/// </summary>
internal sealed class CheckCommand(IServiceProvider services, IHostEnvironment environment, TimeProvider time)
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);

    /// <summary>Prints what is wrong with the settings, a line each.</summary>
    /// <returns>Whether anything is, so that the rest cannot be tested.</returns>
    public static bool PrintErrors(IEnumerable<string> faults)
    {
        var told = faults.ToArray();
        foreach (var fault in told)
            Print("settings", $"FAILED: {fault}");
        return told.Length > 0;
    }

    /// <summary>Prints a line for each part.</summary>
    /// <returns>0 if a server can start with these settings, or else 1.</returns>
    public async Task<int> RunAsync()
    {
        Print("settings", "ok");
        (string Part, Func<Task<string>> Test)[] parts = [("files", Files), ("postgres", PostgresAsync), ("schema", SchemaAsync), ("clock", ClockAsync), ("redis", RedisAsync), ("issuer", IssuerAsync)];
        var failed = 0;
        foreach (var (part, test) in parts)
        {
            try
            {
                Print(part, await test().WaitAsync(Deadline, time));
            }
            catch (Exception failure) when (failure is StartupException or NpgsqlException or RedisException or TimeoutException or InvalidOperationException)
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
        return Task.FromResult(descriptors.Allowed == long.MaxValue ? "ok" : string.Create(CultureInfo.InvariantCulture, $"ok: {descriptors.Allowed:N0} may be open (ulimit -n)"));
    }

    private async Task<string> PostgresAsync()
    {
        var database = services.GetRequiredService<NpgsqlDataSource>();
        await using var connection = await database.OpenConnectionAsync();
        if (await SessionPooling.IsByTransactionAsync(connection, database))
            throw new StartupException("a pooler shares PostgreSQL's sessions by transaction: give PgBouncer pool_mode = session.");
        var (version, place) = (connection.PostgreSqlVersion, $"{connection.Host}:{connection.Port}, database {connection.Database}");
        var loses = environment.IsDevelopment() ? null : await DatabaseStartup.LosesAsync(database);
        return $"ok: {version} at {place}{(loses is null ? "" : $"; {loses} off: may lose what was acknowledged")}";
    }

    private async Task<string> SchemaAsync()
    {
        var store = services.GetRequiredService<IDocumentStore>();
        if (await SchemaState.FindDifferenceAsync(store) is not { } fault)
        {
            // Rights, and a standby that takes no writes, show only here.
            await services.GetRequiredService<DatabaseMonitor>().ProbeAsync(CancellationToken.None);
            return $"ok: {store.Options.DatabaseSchemaName}";
        }

        return environment.IsDevelopment() ? "ok: the start will create it" : throw new StartupException($"{fault} Run db-apply.");
    }

    private async Task<string> ClockAsync()
    {
        await using var command = services.GetRequiredService<NpgsqlDataSource>().CreateCommand("select clock_timestamp()");
        var began = time.GetUtcNow();
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        var ahead = began + ((time.GetUtcNow() - began) / 2) - reader.GetFieldValue<DateTimeOffset>(0);
        var text = string.Create(CultureInfo.InvariantCulture, $"{ahead.Duration().TotalSeconds:0.0} s {(ahead < TimeSpan.Zero ? "behind" : "ahead of")} PostgreSQL's");
        return ahead.Duration() <= JwtSettings.ClockSkew ? $"ok: {text}" : throw new StartupException($"{text}: fresh tokens would be refused, or expired ones taken.");
    }

    private async Task<string> RedisAsync()
    {
        var redis = services.GetRequiredService<RedisConnection>();
        await redis.StartAsync(CancellationToken.None);
        if (!redis.IsConnected)
            throw new StartupException("it does not answer, or refuses us: address, password and TLS are in ConnectionStrings__Redis.");
        await redis.Database.StringSetAsync(redis.Keys.Ready(redis.NodeId), 1, Deadline);
        var channel = redis.Channel(redis.Keys.Node(redis.NodeId));
        var heard = await redis.Subscriber.SubscribeAsync(channel);
        await redis.Database.PublishAsync(channel, "check");
        using var deadline = new CancellationTokenSource(RedisConnection.Timeout, time);
        try
        {
            await heard.ReadAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new StartupException("it takes commands, but a message to oneself does not come back: look at its ACL (+subscribe, channels chat:*).");
        }

        return "ok: takes writes and delivers messages";
    }

    private async Task<string> IssuerAsync()
    {
        var keys = services.GetRequiredService<IssuerKeys>();
        if (keys.AreSymmetric)
            return "ok: Jwt__Key is shared with it";
        return await keys.FetchAsync() ? "ok: its keys are there" : throw new StartupException($"its keys cannot be fetched: {keys.Reason ?? "no answer"}");
    }
}
