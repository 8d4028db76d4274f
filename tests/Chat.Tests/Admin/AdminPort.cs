using System.Net;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Admin;

/// <summary>A server with an admin port, and a client for it.</summary>
internal sealed class AdminPort : IAsyncDisposable
{
    public const string Token = "an-operators-token-for-tests";

    private AdminPort(ChatApp app, HttpClient http) => (App, Http) = (app, http);

    public ChatApp App { get; }

    /// <summary>Calls the admin port as curl on the same machine does.</summary>
    public HttpClient Http { get; }

    public static async Task<AdminPort> Start(Dictionary<string, string?>? settings = null, bool fakeClock = false, bool onKestrel = false)
    {
        var port = TestPort.Pick();
        var app = await ChatApp.Start(
            new(settings ?? [])
            {
                ["Admin:Port"] = $"{port}",
                ["Logging:LogLevel:Chat.Audit"] = "Information",
                ["Logging:Console:LogLevel:Chat.Audit"] = "None"
            }, fakeClock, onKestrel);
        return new(app, new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") });
    }

    public Task<HttpResponseMessage> Send(HttpMethod method, string address, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method, address);
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return Http.SendAsync(request);
    }

    /// <summary>Makes a call that must succeed and returns the response.</summary>
    public Task<JsonElement> Get(string address) => Answer(HttpMethod.Get, address, HttpStatusCode.OK);

    /// <summary>Returns the body of a response with the expected status; an undefined element if it is empty.</summary>
    public async Task<JsonElement> Answer(HttpMethod method, string address, HttpStatusCode expected)
    {
        using var response = await Send(method, address);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == expected, $"{method} {address}: {response.StatusCode} {body}");
        return body.Length == 0 ? default : JsonDocument.Parse(body).RootElement;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await App.DisposeAsync();
    }
}
