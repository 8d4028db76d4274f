using Chat.RateLimiting;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Shares;

/// <summary>
/// A user's share of a node: work in flight is limited by cost, queued work runs in order, and users do not wait for each
/// other.
/// </summary>
public sealed class UserTurnsTests
{
    private readonly FairLimiter turns = new(capacity: 4, maxWaiting: 2);
    private readonly Guid alice = Guid.NewGuid();

    [Fact]
    public async Task A_user_gets_at_most_the_capacity_in_flight_without_delaying_others()
    {
        for (var i = 0; i < 4; i++)
            Assert.True(turns.AcquireAsync(alice).AsTask().IsCompletedSuccessfully);

        Assert.False(turns.AcquireAsync(alice).AsTask().IsCompleted);
        Assert.NotNull(await turns.AcquireAsync(Guid.NewGuid()));
    }

    [Fact]
    public async Task Queued_work_runs_in_order_and_cheap_work_does_not_overtake_expensive_work()
    {
        var first = await turns.AcquireAsync(alice, 3);
        var expensive = turns.AcquireAsync(alice, int.MaxValue).AsTask();
        var cheap = turns.AcquireAsync(alice).AsTask();
        Assert.Equal(2, turns.QueuedCount);

        first!.Dispose();
        var all = await expensive;
        Assert.False(cheap.IsCompleted);

        all!.Dispose();
        Assert.NotNull(await cheap);
        Assert.Equal(0, turns.QueuedCount);
    }

    [Fact]
    public async Task Beyond_the_queue_limit_work_is_rejected()
    {
        using var all = await turns.AcquireAsync(alice, 4);
        _ = turns.AcquireAsync(alice).AsTask();
        _ = turns.AcquireAsync(alice).AsTask();

        Assert.Null(await turns.AcquireAsync(alice));
    }

    [Fact]
    public async Task A_cancelled_waiter_does_not_block_others()
    {
        using var first = await turns.AcquireAsync(alice, 3);
        using var cancellation = new CancellationTokenSource();
        var expensive = turns.AcquireAsync(alice, 4, cancellation.Token).AsTask();
        var cheap = turns.AcquireAsync(alice).AsTask();

        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => expensive);
        Assert.NotNull(await cheap);
    }

    [Fact]
    public async Task An_idle_user_keeps_no_state()
    {
        var turn = await turns.AcquireAsync(alice);
        turn!.Dispose();
        turn.Dispose();

        Assert.Equal(0, turns.ActiveUsers);
        using var all = await turns.AcquireAsync(alice, 4);
        Assert.NotNull(all);
    }

    [Fact]
    public async Task A_sign_in_permit_pauses_in_proportion_to_the_work_up_to_a_limit()
    {
        var clock = new FakeTimeProvider();
        var signIns = new SignInLimiter(clock);
        var (quick, slow) = ((await signIns.AcquireAsync(alice))!, (await signIns.AcquireAsync(alice))!);
        Task[] resting = [signIns.ReleaseAfterCooldownAsync(quick, TimeSpan.FromMilliseconds(10)),
            signIns.ReleaseAfterCooldownAsync(slow, TimeSpan.FromSeconds(10))];

        clock.Advance(TimeSpan.FromMilliseconds(30));
        await resting[0];
        Assert.False(resting[1].IsCompleted);

        clock.Advance(TimeSpan.FromSeconds(1));
        await resting[1];
        Assert.Equal(0, signIns.ActiveUsers);
    }
}
