using Chat.RateLimiting;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Shares;

/// <summary>A user's share of a node: what is in flight is bounded by cost, what waits goes on in order, and nobody waits for others.</summary>
public sealed class UserTurnsTests
{
    private readonly FairLimiter turns = new(capacity: 4, maxWaiting: 2);
    private readonly Guid alice = Guid.NewGuid();

    [Fact]
    public async Task As_much_as_the_capacity_is_in_flight_and_nobody_else_waits_for_it()
    {
        for (var i = 0; i < 4; i++)
            Assert.True(turns.AcquireAsync(alice).AsTask().IsCompletedSuccessfully);

        Assert.False(turns.AcquireAsync(alice).AsTask().IsCompleted);
        Assert.NotNull(await turns.AcquireAsync(Guid.NewGuid()));
    }

    [Fact]
    public async Task What_waits_goes_on_in_order_and_cheap_work_does_not_overtake_expensive_work()
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
    public async Task Past_the_bound_of_what_waits_it_is_refused()
    {
        using var all = await turns.AcquireAsync(alice, 4);
        _ = turns.AcquireAsync(alice).AsTask();
        _ = turns.AcquireAsync(alice).AsTask();

        Assert.Null(await turns.AcquireAsync(alice));
    }

    [Fact]
    public async Task Who_gives_up_waiting_is_in_nobodys_way()
    {
        using var first = await turns.AcquireAsync(alice, 3);
        using var patience = new CancellationTokenSource();
        var expensive = turns.AcquireAsync(alice, 4, patience.Token).AsTask();
        var cheap = turns.AcquireAsync(alice).AsTask();

        await patience.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => expensive);
        Assert.NotNull(await cheap);
    }

    [Fact]
    public async Task Of_an_idle_user_nothing_is_kept()
    {
        var turn = await turns.AcquireAsync(alice);
        turn!.Dispose();
        turn.Dispose();

        Assert.Equal(0, turns.ActiveUsers);
        using var all = await turns.AcquireAsync(alice, 4);
        Assert.NotNull(all);
    }

    [Fact]
    public async Task A_turn_of_a_sign_in_rests_in_proportion_to_the_work_and_not_for_ever()
    {
        var clock = new FakeTimeProvider();
        var signIns = new SignInLimiter(clock);
        var (quick, slow) = ((await signIns.AcquireAsync(alice))!, (await signIns.AcquireAsync(alice))!);
        Task[] resting = [signIns.ReleaseAfterCooldownAsync(quick, TimeSpan.FromMilliseconds(10)), signIns.ReleaseAfterCooldownAsync(slow, TimeSpan.FromSeconds(10))];

        clock.Advance(TimeSpan.FromMilliseconds(30));
        await resting[0];
        Assert.False(resting[1].IsCompleted);

        clock.Advance(TimeSpan.FromSeconds(1));
        await resting[1];
        Assert.Equal(0, signIns.ActiveUsers);
    }
}
