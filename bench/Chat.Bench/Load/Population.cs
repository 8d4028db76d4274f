using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Chat.Bench.Load;

/// <summary>The people of a run, new ones each time, two by two in a conversation of their own.</summary>
/// <param name="Run">In their names and tempIds, so that runs on one database do not meet.</param>
/// <param name="Users">The partners of a conversation are neighbours.</param>
/// <param name="Conversations">One for each two of them; none for strangers.</param>
internal sealed record Population(string Run, IReadOnlyList<TestUser> Users, IReadOnlyList<Guid> Conversations)
{
    private const int MaxConcurrency = 8;

    /// <summary>Signs them in for the first time, and opens their conversations over REST.</summary>
    public static async Task<Population> CreateAsync(Target target, int count, Progress progress, bool areStrangers = false)
    {
        var run = Guid.NewGuid().ToString("N")[..8];
        var people = new TestUser[count];
        var conversations = new Guid[areStrangers ? 0 : count / 2];
        using var http = new HttpClient { BaseAddress = target.Urls[0] };
        var done = 0;
        progress.SetPhase("making people and conversations", () => $"{done} of {count}");
        await Parallel.ForAsync(0, (count + 1) / 2, new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrency }, async (pair, _) =>
        {
            for (var i = pair * 2; i < Math.Min(count, (pair * 2) + 2); i++)
            {
                var id = Guid.NewGuid();
                people[i] = target.IsFloor ? new TestUser(id, id.ToString()) : await target.Tokens.IssueAsync(http, id, $"bench-{run}-{i}");
            }

            if (pair < conversations.Length)
                conversations[pair] = target.IsFloor ? Guid.NewGuid() : await OpenConversationAsync(http, people[pair * 2], people[(pair * 2) + 1].Id);
            Interlocked.Add(ref done, 2);
        });
        return new Population(run, people, conversations);
    }

    /// <summary>Opens a direct conversation.</summary>
    public static async Task<Guid> OpenConversationAsync(HttpClient http, TestUser caller, Guid other)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/chat/conversations") { Content = JsonContent.Create(new { userId = other }) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", caller.Token);
        using var answer = await http.SendAsync(request);
        if (!answer.IsSuccessStatusCode)
            throw new BenchException($"A conversation was not opened: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        return (await answer.Content.ReadFromJsonAsync<JsonObject>())!["id"]!.GetValue<Guid>();
    }

    /// <summary>Says something over REST.</summary>
    public static async Task SendAsync(HttpClient http, TestUser sender, Guid conversation, string content)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/chat/conversations/{conversation}/messages") { Content = JsonContent.Create(new { content }) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", sender.Token);
        using var answer = await http.SendAsync(request);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>The handshake of each.</summary>
    public byte[][] UpgradeRequests(Target target) => [.. Users.Select((person, i) => Upgrade(target, person, i))];

    // The floor knows nothing: who is in which conversation it learns here.
    private byte[] Upgrade(Target target, TestUser person, int index)
    {
        var node = target.Urls[index % target.Urls.Count];
        return target.IsFloor
            ? Wire.Upgrade(node, $"?token={person.Id}&conversation={(Conversations.Count == 0 ? person.Id : Conversations[index / 2])}", null)
            : Wire.Upgrade(node, "", person.Token);
    }
}
