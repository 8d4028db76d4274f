using System.Net;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class HealthHooks
{
    /// <summary>
    /// Waits until the node answers like this, and returns what it says of each part. One answer says little: Redis has
    /// a second for it, which a busy machine may not give.
    /// </summary>
    public static async Task<JsonElement> Ready(this ChatApp node, HttpStatusCode status)
    {
        JsonElement answer = default;
        await Eventually.IsRight(async () =>
        {
            using var response = await node.Http().GetAsync(new Uri("/health/ready", UriKind.Relative));
            answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
            return response.StatusCode == status ? null : $"{response.StatusCode}: {answer}";
        });
        return answer.GetProperty("checks");
    }
}
