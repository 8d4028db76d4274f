using Chat.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Features;

/// <summary>However many callers ask for readiness, PostgreSQL and Redis are checked once a second.</summary>
public sealed class ReadinessTests : IDisposable
{
    private readonly Counting costly = new(), free = new();
    private readonly FakeTimeProvider clock = new();
    private readonly ServiceProvider services;
    private readonly Readiness readiness;

    public ReadinessTests()
    {
        var collection = new ServiceCollection().AddLogging();
        collection.AddHealthChecks()
            .AddCheck("costly", costly, tags: [Readiness.Tag])
            .AddCheck("free", free, tags: [Readiness.Tag, Readiness.FreeTag])
            .AddCheck("other", new Counting());
        services = collection.BuildServiceProvider();
        readiness = new Readiness(
            services.GetRequiredService<HealthCheckService>(), services.GetRequiredService<IOptions<HealthCheckServiceOptions>>(), clock);
    }

    public void Dispose() => services.Dispose();

    [Fact]
    public async Task Callers_within_a_second_share_a_result()
    {
        await Ask();
        await Ask();
        clock.Advance(TimeSpan.FromSeconds(0.9));
        await Ask();
        Assert.Equal(1, costly.Looks);

        clock.Advance(TimeSpan.FromSeconds(0.1));
        await Ask();
        Assert.Equal(2, costly.Looks);
    }

    [Fact]
    public async Task Callers_during_a_check_share_its_result()
    {
        var end = costly.Hold();
        var asking = Enumerable.Range(0, 50).Select(_ => Ask()).ToArray();
        clock.Advance(TimeSpan.FromSeconds(10));
        var late = Ask();
        Assert.DoesNotContain(asking.Append(late), asked => asked.IsCompleted);

        end.SetResult(HealthCheckResult.Unhealthy("gone"));

        Assert.All(await Task.WhenAll(asking.Append(late)), report => Assert.Equal("gone", report.Entries["costly"].Description));
        Assert.Equal(1, costly.Looks);
    }

    [Fact]
    public async Task The_free_check_is_always_current()
    {
        await Ask();
        free.Result = HealthCheckResult.Unhealthy("stopping");

        Assert.Equal(HealthStatus.Unhealthy, (await Ask()).Status);
        Assert.Equal(1, costly.Looks);
    }

    [Fact]
    public async Task Excluded_checks_are_not_awaited()
    {
        var end = costly.Hold();
        var asking = Ask();

        Assert.Equal(["free"], (await Ask("costly", "nothing of this name")).Entries.Keys);

        end.SetResult(HealthCheckResult.Healthy());
        Assert.Equal(["costly", "free"], (await asking).Entries.Keys.Order());
    }

    [Fact]
    public async Task A_cancelled_caller_does_not_cancel_the_shared_check()
    {
        var end = costly.Hold();
        using var impatience = new CancellationTokenSource();
        var leaving = readiness.CheckAsync([], impatience.Token);
        var staying = Ask();

        await impatience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);

        end.SetResult(HealthCheckResult.Healthy());
        Assert.Equal(HealthStatus.Healthy, (await staying).Status);
        Assert.Equal(1, costly.Looks);
    }

    private Task<HealthReport> Ask(params string[] excluded) => readiness.CheckAsync(excluded, CancellationToken.None);

    private sealed class Counting : IHealthCheck
    {
        private int looks;
        private TaskCompletionSource<HealthCheckResult>? held;

        public int Looks => Volatile.Read(ref looks);

        public HealthCheckResult Result { get; set; } = HealthCheckResult.Healthy();

        public TaskCompletionSource<HealthCheckResult> Hold() => held = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            Interlocked.Increment(ref looks);
            return held?.Task ?? Task.FromResult(Result);
        }
    }
}
