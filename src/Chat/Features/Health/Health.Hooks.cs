using System.Net;
using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Features;

internal static class HealthHooks
{
    /// <summary>
    /// Waits until readiness has this status, and returns its checks. A single response is not conclusive: Redis has one
    /// second to answer, which a busy machine may exceed.
    /// </summary>
    public static async Task<JsonElement> Ready(this ChatApp node, HttpStatusCode status)
    {
        JsonElement answer = default;
        await Eventually.UntilNoError(async () =>
        {
            using var response = await node.Http().GetAsync(new Uri("/health/ready", UriKind.Relative));
            answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
            return response.StatusCode == status ? null : $"{response.StatusCode}: {answer}";
        });
        return answer.Field("checks");
    }
}
