using Chat.Storage;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Edge;

/// <summary>Security headers are sent with every response, including errors.</summary>
public sealed class HeaderTests(SharedApp shared) : IClassFixture<SharedApp>
{
    [Theory]
    [InlineData("/chat/unread", true, 200)]
    [InlineData("/chat/unread", false, 401)]
    [InlineData("/chat/conversations?limit=0", true, 400)]
    [InlineData("/nothing/here", false, 404)]
    [InlineData("/health/live", false, 200)]
    [InlineData("/chat/ws", false, 426)]
    public async Task A_response_is_not_rendered_as_a_page(string address, bool signedIn, int status)
    {
        using var client = shared.App.Http(signedIn ? ChatApp.NewUser() : null);

        using var response = await client.GetAsync(address);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Equal("no-referrer", response.Headers.GetValues("Referrer-Policy").Single());
        Assert.Equal("same-origin", response.Headers.GetValues("Cross-Origin-Opener-Policy").Single());
        Assert.Equal("same-origin", response.Headers.GetValues("Cross-Origin-Resource-Policy").Single());
        Assert.Equal("default-src 'none'; frame-ancestors 'none'", response.Headers.GetValues("Content-Security-Policy").Single());
        Assert.Contains("no-store", response.Headers.GetValues("Cache-Control").Single(), StringComparison.Ordinal);
        // Does not reveal the server software.
        Assert.False(response.Headers.Contains("Server") || response.Headers.Contains("X-Powered-By"));
        // A server that was asked over http does not require https.
        Assert.False(response.Headers.Contains("Strict-Transport-Security"));
    }

    [Fact]
    public async Task The_error_handler_keeps_the_headers()
    {
        await using var app = await ChatApp.Start();
        using var client = app.Http(ChatApp.NewUser());
        // A missing service: the only 500 that needs no faulty code.
        await using (var command = app.Services.GetRequiredService<NpgsqlDataSource>()
            .CreateCommand($"drop table {app.Services.GetRequiredService<TableNames>().Block}"))
            await command.ExecuteNonQueryAsync();

        using var response = await client.GetAsync("/chat/blocks");

        Assert.Equal(500, (int)response.StatusCode);
        Assert.Equal("nosniff", response.Headers.GetValues("X-Content-Type-Options").Single());
    }
}
