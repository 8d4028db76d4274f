using System.Net.WebSockets;
using System.Text;
using Alba;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tests.Fixtures;

/// <summary>
/// The server under test: the real Program on the run's PostgreSQL and Redis, with its own schema and key prefix.
/// <see cref="StartNode"/> adds another node to the installation.
/// </summary>
public sealed class ChatApp : IAsyncDisposable
{
    public const string Key = "a key for tests only, long enough for HS256";
    public const string Issuer = "tests";
    public const string Audience = "chat";

    private readonly string name;
    private readonly IAlbaHost? alba;
    private readonly WebApplicationFactory<Program>? kestrel;
    private readonly Dictionary<string, string?> settings;

    private ChatApp(string name, Dictionary<string, string?> settings, FakeTimeProvider? clock, IAlbaHost? alba,
        WebApplicationFactory<Program>? kestrel)
    {
        this.name = name;
        this.settings = settings;
        this.alba = alba;
        this.kestrel = kestrel;
        Clock = clock;
    }

    /// <summary>The server's clock, if the test asked for one that it advances itself.</summary>
    public FakeTimeProvider? Clock { get; }

    /// <summary>Alba's host, for scenarios. Not available on Kestrel.</summary>
    public IAlbaHost Alba => alba ?? throw new InvalidOperationException("This app runs on Kestrel.");

    public IServiceProvider Services => alba?.Services ?? kestrel!.Services;

    /// <summary>The address that Kestrel listens on.</summary>
    public Uri Address => kestrel!.ClientOptions.BaseAddress;

    /// <summary>Starts the first node of a new installation.</summary>
    /// <param name="settings">Configuration in addition to that of all tests, for example <c>Limits:MaxErrors</c>.</param>
    /// <param name="fakeClock">Whether the clock stands still until the test advances <see cref="Clock"/>.</param>
    /// <param name="onKestrel">Whether to listen on a real port: for what TestServer does not support (frames, pings, limits,
    /// backpressure).</param>
    public static Task<ChatApp> Start(Dictionary<string, string?>? settings = null, bool fakeClock = false, bool onKestrel = false) =>
        Start($"t{Guid.NewGuid():N}", settings ?? [], fakeClock ? new FakeTimeProvider(DateTimeOffset.UtcNow) : null, onKestrel);

    /// <summary>Starts another node of the same installation, with the same settings, and the same clock or one of its own.</summary>
    public Task<ChatApp> StartNode(FakeTimeProvider? clock = null) => Start(name, settings, clock ?? Clock, kestrel is not null);

    /// <summary>Creates a user unknown to all other tests.</summary>
    public static TestUser NewUser(string? username = null) => new(Guid.NewGuid(), username ?? $"user-{Guid.NewGuid():N}");

    /// <summary>Creates a token as the application would.</summary>
    public string TokenFor(TestUser user, TimeSpan? lifetime = null, string? scope = null)
    {
        var now = (Clock?.GetUtcNow() ?? DateTimeOffset.UtcNow).UtcDateTime;
        var claims = new Dictionary<string, object> { ["sub"] = user.Id.ToString(), ["preferred_username"] = user.Username };
        if (scope is not null)
            claims["scope"] = scope;
        return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
        {
            Issuer = Issuer,
            Audience = Audience,
            IssuedAt = now,
            Expires = now + (lifetime ?? TimeSpan.FromHours(1)),
            Claims = claims,
            SigningCredentials =
                new SigningCredentials(new SymmetricSecurityKey(Encoding.UTF8.GetBytes(Key)), SecurityAlgorithms.HmacSha256),
        });
    }

    /// <summary>Creates an HTTP client with the user's token; without a user, with none.</summary>
    public HttpClient Http(TestUser? user = null)
    {
        var client =
            new HttpClient(new ConformingHandler(alba?.Server.CreateHandler() ?? new SocketsHttpHandler { AllowAutoRedirect = false }))
            {
                BaseAddress = alba?.Server.BaseAddress ?? Address,
            };
        if (user is not null)
            client.DefaultRequestHeaders.Authorization = new("Bearer", TokenFor(user));
        return client;
    }

    /// <summary>Connects a user; returns after auth_success.</summary>
    public async Task<SocketClient> Connect(TestUser user)
    {
        var client = await Open(query: null, bearer: TokenFor(user));
        await client.Next("auth_success");
        return client;
    }

    /// <summary>Opens a socket; returns after the handshake.</summary>
    public async Task<SocketClient> Open(string? query = null, string? bearer = null)
    {
        if (alba is not null)
        {
            var client = alba.Server.CreateWebSocketClient();
            if (bearer is not null)
                client.ConfigureRequest = request => request.Headers.Authorization = $"Bearer {bearer}";
            return new SocketClient(await client.ConnectAsync(new Uri($"ws://localhost/chat/ws{query}"), CancellationToken.None));
        }

        var socket = new ClientWebSocket();
        if (bearer is not null)
            socket.Options.SetRequestHeader("Authorization", $"Bearer {bearer}");
        await socket.ConnectAsync(new Uri($"ws://{Address.Authority}/chat/ws{query}"), CancellationToken.None);
        return new SocketClient(socket);
    }

    public async ValueTask DisposeAsync()
    {
        if (alba is not null)
            await alba.DisposeAsync();
        if (kestrel is not null)
            await kestrel.DisposeAsync();
    }

    private static async Task<ChatApp> Start(string name, Dictionary<string, string?> settings, FakeTimeProvider? clock, bool onKestrel)
    {
        var servers = await TestServers.Get();
        void Configure(IWebHostBuilder host)
        {
            host.UseSetting("ConnectionStrings:Postgres", $"{servers.Postgres};Maximum Pool Size=20");
            host.UseSetting("ConnectionStrings:Redis", servers.Redis);
            host.UseSetting("Storage:Schema", name);
            host.UseSetting("Redis:Prefix", $"{name}:");
            host.UseSetting("Jwt:Key", Key);
            host.UseSetting("Jwt:Issuer", Issuer);
            host.UseSetting("Jwt:Audience", Audience);
            host.UseSetting("Logging:LogLevel:Default", "Warning");
            // Tests send faster than people; the default rate limits have tests of their own.
            host.UseSetting("Limits:MessagesPerSecond", "1000");
            host.UseSetting("Limits:MessagesPerSecondPerUser", "2000");
            foreach (var (key, value) in settings)
                host.UseSetting(key, value);
            if (clock is not null)
                host.ConfigureTestServices(services => services.AddSingleton<TimeProvider>(clock));
        }

        if (!onKestrel)
            return new ChatApp(name, settings, clock, await AlbaHost.For<Program>(Configure), null);
        // The address as well: the port of UseKestrel alone is overridden by the default one.
        var factory = new WebApplicationFactory<Program>().WithWebHostBuilder(host =>
        {
            Configure(host);
            host.UseUrls("http://127.0.0.1:0");
        });
        factory.UseKestrel(0);
        factory.StartServer();
        return new ChatApp(name, settings, clock, null, factory);
    }
}

/// <summary>A user with a token.</summary>
public sealed record TestUser(Guid Id, string Username);

/// <summary>One server for the tests of a class, each of which uses its own users.</summary>
public sealed class SharedApp : IAsyncLifetime
{
    public ChatApp App { get; private set; } = null!;

    public async Task InitializeAsync() => App = await ChatApp.Start();

    public async Task DisposeAsync() => await App.DisposeAsync();
}
