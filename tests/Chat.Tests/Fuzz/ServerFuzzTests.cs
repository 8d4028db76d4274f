using System.Net;
using System.Text;
using Chat.Features;
using Chat.Tests.BadInput;
using Chat.Tests.Fixtures;
using CsCheck;
using Xunit.Abstractions;

namespace Chat.Tests.Fuzz;

/// <summary>
/// Mutants of every event and every body against a complete server. None causes a server error, and exactly what is
/// acknowledged is stored.
/// </summary>
public sealed class ServerFuzzTests(Scene scene, ITestOutputHelper output) : IClassFixture<Scene>
{
    private const int Frames = 600, Bodies = 300;

    private readonly ChatApp app = scene.App;

    [Fact]
    public async Task No_frame_causes_a_server_error()
    {
        var before = await app.History(scene.Alice, scene.Conversation);
        var acknowledged = new List<string>();
        var frames = Generate(Mutants.Of([.. Mutants.Frames.Select(Fill)]), Frames);

        SocketClient? client = null;
        try
        {
            foreach (var (frame, i) in frames.Select((frame, i) => (frame, i)))
            {
                // A connection is closed after a number of errors; invalid text closes it at once.
                if (client is null || i % 50 == 0 || client.IsClosed)
                {
                    await Leave();
                    client = await app.Connect(scene.Alice);
                }

                await client.SendBytes(frame);
                try
                {
                    await client.Settle();
                }
                catch (Exception closed) when (closed is Xunit.Sdk.XunitException or ObjectDisposedException or InvalidOperationException
                    or System.Net.WebSockets.WebSocketException or IOException && client.IsClosed)
                {
                    Assert.True(await client.Closed() is 1007 or 1009 or 4501 or 4503,
                        $"{Encoding.UTF8.GetString(frame)} closed with {await client.Closed()}");
                }

                Assert.DoesNotContain(
                    client.Frames, answer => answer.Type == "error" && answer.Text("code") is "INTERNAL_ERROR" or "UNAVAILABLE");
            }
        }
        finally
        {
            await Leave();
        }

        // A retry of a tempId is acknowledged again, with the same message.
        var after = await app.History(scene.Alice, scene.Conversation);
        Assert.Equal(acknowledged.Distinct(), after.Skip(before.Count).Select(message => message.GetRawText()));
        Assert.NotEmpty(acknowledged);

        async Task Leave()
        {
            if (client is null)
                return;
            acknowledged.AddRange(
                client.Frames.Where(frame => frame.Type == "message.sent").Select(frame => frame["message"].GetRawText()));
            await client.DisposeAsync();
            client = null;
        }
    }

    [Fact]
    public async Task No_body_causes_a_server_error()
    {
        using var client = app.Http(scene.Alice);
        (string Address, string Good)[] bodies =
        [
            ("/chat/conversations", $$"""{"userId":"{{scene.Bob.Id}}"}"""),
            ("/chat/conversations", """{"username":"somebody \u0061"}"""),
            ($"/chat/conversations/{scene.Conversation}/messages", """{"content":"hello","tempId":"t","type":"text"}"""),
            ($"/chat/conversations/{scene.Conversation}/read", """{"upTo":1}"""),
            ("/dev/token", """{"username":"carol"}"""),
        ];
        foreach (var (address, good) in bodies)
        {
            foreach (var body in Generate(Mutants.Of(good), Bodies / bodies.Length))
            {
                using var content = new ByteArrayContent(body) { Headers = { ContentType = new("application/json") } };
                using var response = await client.PostAsync(address, content);
                Assert.True(response.StatusCode < HttpStatusCode.InternalServerError,
                    $"{address} {Encoding.UTF8.GetString(body)}: {(int)response.StatusCode}");
            }
        }
    }

    // One seed for all of them: the handling of a frame may depend on those before it.
    private List<byte[]> Generate(Gen<byte[]> mutants, int count)
    {
        var seed = Environment.GetEnvironmentVariable("CsCheck_Seed") is { Length: > 0 } given
            ? PCG.Parse(given) : new PCG((uint)Random.Shared.Next());
        output.WriteLine($"CsCheck_Seed={seed}");
        return [.. Enumerable.Range(0, count).Select(_ => mutants.Generate(seed, null, out Size _))];
    }

    private string Fill(string frame) =>
        frame.Replace("66cf1f13-2b7e-4c53-8a51-9a0f4a6f3c11", $"{scene.Conversation}", StringComparison.Ordinal);
}
