using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Chat.Tests.Fixtures;

/// <summary>Asserts the form of errors on the socket and over REST.</summary>
internal static class Answers
{
    /// <summary>Asserts that the frame is an error with this code.</summary>
    public static Received IsError(this Received frame, string code, string? field = null)
    {
        Assert.Equal("error", frame.Type);
        Assert.Equal(code, frame.Text("code"));
        Assert.Equal(field, frame.Payload.TryGetProperty("field", out var named) ? named.GetString() : null);
        return frame;
    }

    /// <summary>Asserts that the response is problem details with this status and code.</summary>
    public static async Task<JsonElement> IsProblem(
        this HttpResponseMessage response, HttpStatusCode status, string code, string? field = null)
    {
        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(code, problem.Text("code"));
        if (field is not null)
            Assert.Equal(field, problem.Text("field"));
        return problem;
    }

    /// <summary>Returns the JSON of a response that must have this status.</summary>
    public static async Task<JsonElement> Is(this HttpResponseMessage response, HttpStatusCode status)
    {
        Assert.True(status == response.StatusCode, $"{response.StatusCode}: {await response.Content.ReadAsStringAsync()}");
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    /// <summary>Returns all frames of this type received so far.</summary>
    public static IReadOnlyList<Received> All(this SocketClient client, string type) =>
        [.. client.Frames.Where(frame => frame.Type == type)];

    /// <summary>Returns all frames of this type after a round trip, which proves that none is in flight.</summary>
    public static async Task<IReadOnlyList<Received>> AllSettled(this SocketClient client, string type)
    {
        await client.Settle();
        return client.All(type);
    }
}
