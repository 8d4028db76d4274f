using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.Extensions.Options;

namespace Chat.Tokens;

/// <summary>
/// Whether there are keys to check tokens with. A shared key is there from the start; those of an authority once it has
/// answered, and then for good. Until then nobody can say whether a token is valid, and nobody is told that theirs is not.
/// </summary>
internal sealed class IssuerKeys(IOptionsMonitor<JwtBearerOptions> bearer, TimeProvider time)
{
    /// <summary>How long anybody waits for the authority, and after which it is asked again.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly Lock gate = new();
    private volatile bool areThere;
    private Task<bool>? asking;
    private long askedAt;

    /// <summary>Why there are none, as the authority's last answer tells it.</summary>
    public string? Reason { get; private set; }

    /// <summary>Whether there is no authority to ask, since the key is shared with the issuer.</summary>
    public bool AreShared => bearer.Get(JwtBearerDefaults.AuthenticationScheme).ConfigurationManager is null;

    /// <summary>Asks the authority, if it has never answered; all who ask at once share one question.</summary>
    /// <returns>Whether the keys are there.</returns>
    public async ValueTask<bool> AskAsync()
    {
        if (areThere)
            return true;
        Task<bool> answer;
        lock (gate)
        {
            if (asking is null || (asking.IsCompleted && time.GetElapsedTime(askedAt) >= Patience))
                (asking, askedAt) = (AskOnceAsync(), time.GetTimestamp());
            answer = asking;
        }

        return await Task.WhenAny(answer, Task.Delay(Patience, time)) == answer && await answer;
    }

    private async Task<bool> AskOnceAsync()
    {
        if (bearer.Get(JwtBearerDefaults.AuthenticationScheme).ConfigurationManager is not { } authority)
            return areThere = true;
        try
        {
            await authority.GetConfigurationAsync(CancellationToken.None);
            return areThere = true;
        }
        catch (Exception failure) when (failure is InvalidOperationException or IOException or HttpRequestException or OperationCanceledException)
        {
            Reason = failure.InnerException?.Message ?? failure.Message;
            return false;
        }
    }
}

/// <summary>A token could not be checked, since the issuer's keys have never been there.</summary>
internal sealed class IssuerAwayException() : Exception("The issuer's keys are missing.");
