using System.Globalization;
using System.Net;
using System.Text.Json;
using Chat.Features;
using Chat.Tests.Fixtures;
using Chat.Tests.Observing;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Degradation;

/// <summary>A node with a wrong clock. Here, the clocks of PostgreSQL and Redis agree with each other.</summary>
public sealed class WrongClockTests
{
    [Theory]
    [InlineData("01:00:00", "ahead of")]
    [InlineData("-01:00:00", "behind")]
    public async Task Is_reported_by_readiness_and_by_a_metric(string offset, string direction)
    {
        var off = TimeSpan.Parse(offset, CultureInfo.InvariantCulture);
        await using var right = await ChatApp.Start();
        await using var wrong = await right.StartNode(new FakeTimeProvider(DateTimeOffset.UtcNow + off));
        using var difference = wrong.Measure<double>("chat.clock.difference");

        // The probe checks PostgreSQL; the result is the server's state.
        JsonElement said = default;
        await Eventually.UntilNoError(async () =>
        {
            said = await wrong.Ready(HttpStatusCode.ServiceUnavailable);
            return said.Text("server") == "ok" ? $"{said}" : null;
        });

        // Minutes may pass until the next probe, while the clock stands still.
        Assert.Matches($@"^clock is 3[56]\d\d s {direction} PostgreSQL's; fresh tokens are rejected or expired ones accepted$",
            said.Text("server"));
        Assert.Equal("ok", said.Text("postgres"));
        Assert.InRange(difference.LastMeasurement!.Value, off.TotalSeconds - 300, off.TotalSeconds + 300);
        Assert.Equal("ok", (await right.Ready(HttpStatusCode.OK)).Text("server"));
        // A token that is fresh on other nodes.
        using var http = wrong.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", right.TokenFor(ChatApp.NewUser(), lifetime: TimeSpan.FromMinutes(5)));
        using var answer = await http.GetAsync(new Uri("/chat/unread", UriKind.Relative));
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [Fact]
    public async Task A_clock_within_the_skew_is_healthy()
    {
        await using var app = await ChatApp.Start();
        await using var fast = await app.StartNode(new FakeTimeProvider(DateTimeOffset.UtcNow + TimeSpan.FromSeconds(15)));

        Assert.Equal("ok", (await fast.Ready(HttpStatusCode.OK)).Text("server"));
    }
}
