using Chat.RateLimiting;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Socket;

/// <summary>The exact number of permits, and the exact time until the next one.</summary>
public sealed class TokenBucketTests
{
    private readonly FakeTimeProvider clock = new();

    [Fact]
    public void The_bucket_allows_a_burst_of_twice_the_rate_then_refills_one_at_a_time()
    {
        var bucket = new TokenBucket(10, clock);
        Assert.True(bucket.IsFull);
        for (var i = 0; i < 20; i++)
            Assert.Equal(TimeSpan.Zero, bucket.Take());

        Assert.False(bucket.IsFull);
        Assert.Equal(TimeSpan.FromMilliseconds(100), bucket.Take());
        clock.Advance(TimeSpan.FromMilliseconds(40));
        Assert.Equal(60, bucket.Take().TotalMilliseconds, 6);
        // Rejected requests cost nothing.
        clock.Advance(TimeSpan.FromMilliseconds(60.001));
        Assert.Equal(TimeSpan.Zero, bucket.Take());
        Assert.NotEqual(TimeSpan.Zero, bucket.Take());
    }

    [Fact]
    public void The_bucket_refills_up_to_its_capacity()
    {
        var bucket = new TokenBucket(10, clock);
        Assert.Equal(TimeSpan.Zero, bucket.Take());
        clock.Advance(TimeSpan.FromMilliseconds(99));
        Assert.False(bucket.IsFull);
        clock.Advance(TimeSpan.FromHours(1));
        Assert.True(bucket.IsFull);

        for (var i = 0; i < 20; i++)
            Assert.Equal(TimeSpan.Zero, bucket.Take());
        Assert.NotEqual(TimeSpan.Zero, bucket.Take());
    }
}
