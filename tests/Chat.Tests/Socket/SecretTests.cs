using System.Collections.Concurrent;
using System.Diagnostics;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Chat.Tests.Socket;

/// <summary>A token shows in no log and in no trace, at any level, whichever way it came and whatever was wrong with it.</summary>
public sealed class SecretTests
{
    [Fact]
    public async Task No_token_in_any_log_or_trace()
    {
        using var seen = new Listener();
        using var listener = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity => seen.Add($"trace {activity.DisplayName} {string.Join(' ', activity.TagObjects)}"),
        };
        await using var app = await ChatApp.Start(
            new()
            {
                ["Logging:LogLevel:Default"] = "Trace",
                ["Logging:LogLevel:Microsoft"] = "Trace",
                ["Logging:LogLevel:Npgsql"] = "Trace",
                ["Logging:LogLevel:Marten"] = "Trace",
                ["Logging:Console:LogLevel:Default"] = "None",
                ["Logging:Console:LogLevel:Microsoft"] = "None",
                ["Logging:Console:LogLevel:Npgsql"] = "None",
                ["Logging:Console:LogLevel:Marten"] = "None",
            },
            onKestrel: true);
        app.Services.GetRequiredService<ILoggerFactory>().AddProvider(seen);
        ActivitySource.AddActivityListener(listener);

        var user = ChatApp.NewUser();
        string[] tokens =
        [
            app.TokenFor(user),
            app.TokenFor(user, TimeSpan.FromMinutes(-5)),
            Forge.With(user, "sub", "nobody"),
            Forge.With(user, "aud", "elsewhere"),
            Forge.Rs256("""{"alg":"RS256","kid":"k"}""", Forge.Claims(user).ToJsonString()),
            Forge.Signed(Forge.Claims(user))[..^3],
            "not.a.token-but-secret-all-the-same",
        ];
        foreach (var token in tokens)
        {
            foreach (var query in (string[])[$"?token={token}", $"/?a=1&%74oken={token}&b=2", $"?TOKEN={token}"])
            {
                await using var byQuery = await app.Open(query);
                await byQuery.Next(token == tokens[0] ? "auth_success" : "auth_failed");
            }

            await using (var byHeader = await app.Open(bearer: token))
                await byHeader.Next(token == tokens[0] ? "auth_success" : "auth_failed");
            await using (var byFrame = await app.Open())
                await byFrame.Ask("auth", new { token });
            await using (var inTheWrongField = await app.Open(bearer: tokens[0]))
            {
                await inTheWrongField.Next("auth_success");
                await inTheWrongField.Ask("auth", new { token = new { token } });
                await inTheWrongField.Ask(token, new { });
                await inTheWrongField.Settle();
            }

            var http = app.Http();
            http.DefaultRequestHeaders.Authorization = new("Bearer", token);
            await http.GetAsync("/chat/unread");
            await app.Http().GetAsync($"/chat/ws?token={token}");
            await app.Http().GetAsync($"/chat/wss?token={token}");
            await app.Http().GetAsync($"/chat/unread?x=1&token={token}");
        }

        // Proof that the listening works: the address is there, with its other parameters.
        Assert.Contains(seen.Lines, line => line.Contains("/chat/ws", StringComparison.Ordinal) && line.Contains("a=1", StringComparison.Ordinal));
        Assert.Contains(seen.Lines, line => line.StartsWith("trace", StringComparison.Ordinal));
        foreach (var token in tokens)
        {
            // The last part is the secret one: with the others alone nobody gets in.
            var secret = token.Split('.')[^1];
            Assert.DoesNotContain(seen.Lines, line => line.Contains(secret, StringComparison.Ordinal));
        }
    }

    private sealed class Listener : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<string> lines = new();

        public IEnumerable<string> Lines => lines;

        public void Add(string line) => lines.Enqueue(line);

        public ILogger CreateLogger(string categoryName) => this;

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
        {
            Add($"scope {state} {Fields(state)}");
            return null;
        }

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Add($"{logLevel} {formatter(state, exception)} {Fields(state)} {exception}");

        public void Dispose()
        {
            // The lines go with the test.
        }

        private static string Fields(object? state) =>
            state is IEnumerable<KeyValuePair<string, object?>> fields ? string.Join(' ', fields) : "";
    }
}
