namespace Chat.RateLimiting;

/// <summary>
/// Limits the concurrent sign-ins of one user. Their cost grows with the user's conversations, so permits are released only
/// after a cooldown: a user who signs in again and again is slowed down, and delays no one else.
/// </summary>
internal sealed class SignInLimiter(TimeProvider time) : FairLimiter(MaxPerUser, int.MaxValue)
{
    /// <summary>Concurrent sign-ins of one user.</summary>
    public const int MaxPerUser = 2;

    private const int CooldownFactor = 3;
    private static readonly TimeSpan MaxCooldown = TimeSpan.FromSeconds(1);

    /// <summary>Releases a permit after a cooldown.</summary>
    /// <param name="permit">The permit.</param>
    /// <param name="used">How long it was in use.</param>
    public async Task ReleaseAfterCooldownAsync(Permit permit, TimeSpan used)
    {
        using (permit)
        {
            var cooldown = used * CooldownFactor;
            if (cooldown > TimeSpan.Zero)
                await Task.Delay(cooldown < MaxCooldown ? cooldown : MaxCooldown, time);
        }
    }
}
