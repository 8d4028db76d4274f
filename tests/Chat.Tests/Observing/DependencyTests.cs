using Chat.Telemetry;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Observing;

/// <summary>An outage is logged at its start and end, with occasional summaries, however many requests it affects.</summary>
public sealed class DependencyTests
{
    private readonly FakeTimeProvider clock = new();
    private readonly Lines lines = new();

    [Fact]
    public void A_23_second_outage_with_1800_rejected_sends_logs_four_lines()
    {
        var postgres = new DependencyState(clock, lines);
        for (var second = 0; second < 23; second++)
        {
            for (var i = 0; i < 80; i++)
                postgres.Failed("refused", refusedSends: second == 22 && i >= 40 ? 0 : 1);
            postgres.Summarize();
            clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(TimeSpan.FromSeconds(23), postgres.OutageDuration);
        postgres.Succeeded();
        postgres.Succeeded();

        Assert.Equal(["unavailable: refused", "still after 10 s: refused, 880", "still after 20 s: refused, 1680", "back after 23 s, 1800"],
            lines.All);
        Assert.Equal((false, TimeSpan.Zero), (postgres.IsUnavailable, postgres.OutageDuration));
    }

    [Fact]
    public void A_flapping_dependency_does_not_toggle_with_each_success()
    {
        var postgres = new DependencyState(clock, lines);
        for (var i = 0; i < 100; i++)
        {
            postgres.Failed("slow", refusedSends: 1);
            postgres.Succeeded();
            clock.Advance(TimeSpan.FromMilliseconds(50));
        }

        Assert.Equal(["unavailable: slow"], lines.All);
        clock.Advance(TimeSpan.FromSeconds(1));
        postgres.Succeeded();
        Assert.Equal("back after 6 s, 100", lines.All[^1]);
    }

    [Fact]
    public void A_change_of_the_reason_is_logged_within_a_second()
    {
        var postgres = new DependencyState(clock, lines);
        postgres.Failed("connection refused");
        postgres.Failed("password authentication failed (28P01)", isRejection: true);
        postgres.Summarize();
        Assert.Single(lines.All);
        Assert.Equal("password authentication failed (28P01)", postgres.Refusal);

        clock.Advance(TimeSpan.FromSeconds(1));
        postgres.Summarize();
        postgres.Summarize();

        Assert.Equal(["unavailable: connection refused", "still after 1 s: password authentication failed (28P01), 0"], lines.All);
    }

    private sealed class Lines : DependencyLog
    {
        public List<string> All { get; } = [];

        public override void Unavailable(string reason) => All.Add($"unavailable: {reason}");

        public override void StillUnavailable(long seconds, string reason, long sends, long others) =>
            All.Add($"still after {seconds} s: {reason}, {sends + others}");

        public override void Recovered(long seconds, long sends, long others) => All.Add($"back after {seconds} s, {sends + others}");
    }
}
