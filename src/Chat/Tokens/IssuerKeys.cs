using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>
/// Provides the keys that tokens are validated with. A shared key is present from the start; those of an authority once it
/// has answered, and from then on. Until then validity is undecided, and no token is refused as invalid.
/// </summary>
/// <remarks>
/// Validation never blocks on the network: it reads the keys published last. On an unknown key, callers wait for one shared
/// request, with a delay between requests and a back-off after failures. So tokens with random key ids cost the issuer one
/// request every two seconds, and delay no one else.
/// </remarks>
internal sealed partial class IssuerKeys : IDisposable
{
    /// <summary>The deadline of one request. Callers wait twice as long at most.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromMilliseconds(250);

    /// <summary>The longest time that keys withdrawn by the issuer stay valid.</summary>
    private static readonly TimeSpan RefreshInterval = TimeSpan.FromHours(1);

    private const int MaxDocumentBytes = 1024 * 1024;
    private const int MaxReason = 500;
    private readonly JwtSettings settings;
    private readonly IHostEnvironment environment;
    private readonly TimeProvider time;
    private readonly ILogger<IssuerKeys> log;
    private readonly HttpClient http =
        new() { MaxResponseContentBufferSize = MaxDocumentBytes, Timeout = System.Threading.Timeout.InfiniteTimeSpan };
    private readonly Lock gate = new();
    private volatile Published? published;
    private Request? latest;
    private long endedAt;
    private TimeSpan backOff;
    private long failingSince;

    public IssuerKeys(IOptions<JwtSettings> settings, IHostEnvironment environment, TimeProvider time, ILogger<IssuerKeys> log)
    {
        this.settings = settings.Value;
        this.environment = environment;
        this.time = time;
        this.log = log;
        AreSymmetric = this.settings.SharedKeys.Count > 0;
        if (AreSymmetric)
            published = new Published([.. this.settings.SharedKeys], 0);
    }

    /// <summary>Why the last request failed; null if it succeeded.</summary>
    public string? Reason { get; private set; }

    /// <summary>Whether the key is shared with the issuer, so that there is no authority to ask.</summary>
    public bool AreSymmetric { get; }

    /// <summary>Whether any keys are available.</summary>
    public bool AreLoaded => published is not null;

    /// <summary>Returns the keys that may have signed a token with this key id.</summary>
    public IReadOnlyCollection<SecurityKey> For(string? keyId)
    {
        if (published is not { } now)
            return [];
        if (!AreSymmetric && time.GetElapsedTime(now.FetchedAt) > RefreshInterval)
            _ = Latest();
        if (AreSymmetric || string.IsNullOrEmpty(keyId))
            return now.Keys;
        var named = Array.FindAll(now.Keys, key => key.KeyId == keyId);
        return named.Length > 0 ? named : Array.FindAll(now.Keys, key => string.IsNullOrEmpty(key.KeyId));
    }

    /// <summary>Whether a key with this id is known.</summary>
    public bool Has(string? keyId) =>
        AreSymmetric || (!string.IsNullOrEmpty(keyId) && published?.Keys.Any(key => key.KeyId == keyId) == true);

    /// <summary>Fetches the keys, unless that has succeeded before.</summary>
    /// <returns>Whether keys are available.</returns>
    public async ValueTask<bool> FetchAsync() => AreLoaded || await RefreshAsync() || AreLoaded;

    /// <summary>Waits for a successful request to the authority that starts after this call.</summary>
    /// <returns>False if there is none in time: an unknown key may still be the issuer's.</returns>
    public async ValueTask<bool> RefreshAsync()
    {
        var calledAt = time.GetTimestamp();
        try
        {
            while (true)
            {
                var request = Latest();
                var remaining = (Timeout * 2) - time.GetElapsedTime(calledAt);
                if (remaining <= TimeSpan.Zero || !await request.Answer.WaitAsync(remaining, time))
                    return false;
                if (request.StartedAt >= calledAt)
                    return true;
            }
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    public void Dispose() => http.Dispose();

    private Request Latest()
    {
        lock (gate)
        {
            if (latest is null || latest.Answer.IsCompleted)
            {
                var delay = latest is null
                    ? TimeSpan.Zero : (backOff > TimeSpan.Zero ? backOff : RetryDelay) - time.GetElapsedTime(endedAt);
                latest = new Request();
                latest.Answer = FetchOnceAsync(latest, delay);
            }

            return latest;
        }
    }

    private async Task<bool> FetchOnceAsync(Request request, TimeSpan delay)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        if (delay > TimeSpan.Zero)
            await Task.Delay(delay, time);
        request.StartedAt = time.GetTimestamp();
        string? reason = null;
        try
        {
            using var deadline = new CancellationTokenSource(Timeout, time);
            var metadata = $"{settings.Authority!.TrimEnd('/')}/.well-known/openid-configuration";
            var configuration =
                await OpenIdConnectConfigurationRetriever.GetAsync(metadata, new Documents(http, environment), deadline.Token);
            if (configuration.SigningKeys.Count > 0)
                published = new Published([.. configuration.SigningKeys], time.GetTimestamp());
            else
                reason = "it publishes no keys";
        }
        catch (OperationCanceledException)
        {
            reason = $"no answer within {Timeout.TotalSeconds} s";
        }
#pragma warning disable CA1031 // Any failure of the issuer is logged and retried.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            reason = CauseOf(failure);
        }

        return Complete(reason);
    }

    private bool Complete(string? reason)
    {
        TimeSpan? unavailableFor = null;
        var isNewReason = false;
        lock (gate)
        {
            endedAt = time.GetTimestamp();
            if (reason is null)
            {
                if (Reason is not null)
                    unavailableFor = time.GetElapsedTime(failingSince);
                backOff = TimeSpan.Zero;
            }
            else
            {
                isNewReason = reason != Reason;
                if (Reason is null)
                    failingSince = endedAt;
                backOff = backOff == TimeSpan.Zero ? FirstBackOff : TimeSpan.FromTicks(Math.Min((backOff * 2).Ticks, RetryDelay.Ticks));
            }

            Reason = reason;
        }

        if (unavailableFor is { } outage)
            Recovered(outage.TotalSeconds);
        if (isNewReason)
            Unavailable(reason!, AreLoaded ? "tokens signed with known keys are accepted" : "nobody can sign in");
        return reason is null;
    }

    // The innermost exceptions name the cause: a certificate, a name, a refused connection.
    private static string CauseOf(Exception failure)
    {
        var causes = new List<string>();
        for (var cause = failure; cause is not null; cause = cause.InnerException)
            causes.Add(cause.Message);
        var text = string.Join(": ", causes.Distinct().TakeLast(2));
        return text.Length <= MaxReason ? text : text[..MaxReason];
    }

    [LoggerMessage(120, LogLevel.Warning, "The issuer is unavailable ({Reason}); {Consequence}")]
    private partial void Unavailable(string reason, string consequence);

    [LoggerMessage(121, LogLevel.Information, "The issuer is available again after {Seconds:0.0} s")]
    private partial void Recovered(double seconds);

    private sealed record Published(SecurityKey[] Keys, long FetchedAt);

    private sealed class Request
    {
        public Task<bool> Answer { get; set; } = Task.FromResult(false);

        public long StartedAt { get; set; }
    }

    /// <summary>
    /// Fetches the issuer's documents, over a connection that cannot be tampered with; the metadata names the keys' address.
    /// </summary>
    private sealed class Documents(HttpClient http, IHostEnvironment environment) : IDocumentRetriever
    {
        public async Task<string> GetDocumentAsync(string address, CancellationToken cancel) =>
            JwtSettings.IsTrustworthy(address, environment.IsDevelopment())
                ? await http.GetStringAsync(new Uri(address), cancel)
                : throw new HttpRequestException("the address of its keys is not https");
    }
}

/// <summary>A token could not be validated, because the issuer's keys are missing or incomplete.</summary>
internal sealed class IssuerUnavailableException() : Exception("The issuer's keys are missing.");
