namespace Chat.RateLimiting;

/// <summary>
/// Sign-ins of one user. What they ask grows with the user's conversations, so most of a user's share rests in between: whoever
/// signs in again and again waits for themselves, and nobody else waits for them.
/// </summary>
internal sealed class SignInLimiter(TimeProvider time) : FairLimiter(MaxPerUser, int.MaxValue)
{
    /// <summary>Of the node's turns, one user's.</summary>
    public const int MaxPerUser = 2;

    private const int CooldownFactor = 3;
    private static readonly TimeSpan MaxCooldown = TimeSpan.FromSeconds(1);

    /// <summary>Gives a turn back once it has rested.</summary>
    /// <param name="turn">The turn.</param>
    /// <param name="worked">How long it was in use.</param>
    public async Task ReleaseAfterCooldownAsync(Permit turn, TimeSpan worked)
    {
        using (turn)
        {
            var rest = worked * CooldownFactor;
            if (rest > TimeSpan.Zero)
                await Task.Delay(rest < MaxCooldown ? rest : MaxCooldown, time);
        }
    }
}
