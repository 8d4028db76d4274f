using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Chat.Bench.Load;

/// <summary>The users of a run. Every run creates new ones, in pairs with a conversation each.</summary>
/// <param name="Run">A random id that is part of usernames and tempIds, so that runs on the same database do not collide.</param>
/// <param name="Users">The users; each pair is adjacent.</param>
/// <param name="Conversations">The conversation of each pair; empty for strangers.</param>
internal sealed record Population(string Run, IReadOnlyList<TestUser> Users, IReadOnlyList<Guid> Conversations)
{
    private const int MaxConcurrency = 8;

    /// <summary>Creates the users, and opens their conversations over REST.</summary>
    public static async Task<Population> CreateAsync(Target target, int count, Progress progress, bool areStrangers = false)
    {
        var run = Guid.NewGuid().ToString("N")[..8];
        var users = new TestUser[count];
        var conversations = new Guid[areStrangers ? 0 : count / 2];
        using var http = new HttpClient { BaseAddress = target.Urls[0] };
        var done = 0;
        progress.SetPhase("creating users and conversations", () => $"{done} of {count}");
        await Parallel.ForAsync(0, (count + 1) / 2, new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrency }, async (pair, _) =>
        {
            for (var i = pair * 2; i < Math.Min(count, (pair * 2) + 2); i++)
            {
                var id = Guid.NewGuid();
                users[i] = target.IsFloor ? new TestUser(id, id.ToString()) : await target.Tokens.IssueAsync(http, id, $"bench-{run}-{i}");
            }

            if (pair < conversations.Length)
                conversations[pair] = target.IsFloor
                    ? Guid.NewGuid() : await OpenConversationAsync(http, users[pair * 2], users[(pair * 2) + 1].Id);
            Interlocked.Add(ref done, 2);
        });
        return new Population(run, users, conversations);
    }

    /// <summary>Opens a direct conversation.</summary>
    public static async Task<Guid> OpenConversationAsync(HttpClient http, TestUser creator, Guid other)
    {
        using var request =
            new HttpRequestMessage(HttpMethod.Post, "/chat/conversations") { Content = JsonContent.Create(new { userId = other }) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", creator.Token);
        using var response = await http.SendAsync(request);
        if (!response.IsSuccessStatusCode)
            throw new BenchException(
                $"Could not open a conversation: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        return (await response.Content.ReadFromJsonAsync<JsonObject>())!["id"]!.GetValue<Guid>();
    }

    /// <summary>Sends a message over REST.</summary>
    public static async Task SendAsync(HttpClient http, TestUser sender, Guid conversation, string content)
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post, $"/chat/conversations/{conversation}/messages")
        { Content = JsonContent.Create(new { content }) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", sender.Token);
        using var response = await http.SendAsync(request);
        response.EnsureSuccessStatusCode();
    }

    /// <summary>Returns the upgrade request of each user.</summary>
    public byte[][] UpgradeRequests(Target target) => [.. Users.Select((user, i) => Upgrade(target, user, i))];

    // The floor server stores no members: the query tells it the conversation of a connection.
    private byte[] Upgrade(Target target, TestUser user, int index)
    {
        var node = target.Urls[index % target.Urls.Count];
        return target.IsFloor
            ? Wire.Upgrade(node, $"?token={user.Id}&conversation={(Conversations.Count == 0 ? user.Id : Conversations[index / 2])}", null)
            : Wire.Upgrade(node, "", user.Token);
    }
}
