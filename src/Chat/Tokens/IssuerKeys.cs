using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Protocols;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tokens;

/// <summary>
/// The keys that tokens are checked with. A shared key is there from the start; those of an authority once it has
/// answered, and then for good. Until then nobody can say whether a token is valid, and nobody is told that theirs is not.
/// </summary>
/// <remarks>
/// Validation itself never waits for the network: it reads what was published last. Whoever meets a key that is not there
/// waits for one request that all share, at most one at a time, with a pause between two and a back-off after a failure. So
/// tokens that name keys at random cost the issuer a request every two seconds, and nobody else anything.
/// </remarks>
internal sealed partial class IssuerKeys : IDisposable
{
    /// <summary>The deadline of one request. Who waits for keys waits for twice as long, at most.</summary>
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstBackOff = TimeSpan.FromMilliseconds(250);

    /// <summary>Keys that the issuer takes back are forgotten after this time, at the latest.</summary>
    private static readonly TimeSpan RefreshInterval = TimeSpan.FromHours(1);

    private const int MaxDocumentBytes = 1024 * 1024;
    private const int MaxReason = 500;
    private readonly JwtSettings settings;
    private readonly IHostEnvironment environment;
    private readonly TimeProvider time;
    private readonly ILogger<IssuerKeys> log;
    private readonly HttpClient http = new() { MaxResponseContentBufferSize = MaxDocumentBytes, Timeout = System.Threading.Timeout.InfiniteTimeSpan };
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

    /// <summary>Why there are none, as the authority's last answer tells it.</summary>
    public string? Reason { get; private set; }

    /// <summary>Whether there is no authority to ask, since the key is shared with the issuer.</summary>
    public bool AreSymmetric { get; }

    /// <summary>Whether there are keys to check a token with.</summary>
    public bool AreLoaded => published is not null;

    /// <summary>The keys that may have signed a token which names this one.</summary>
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

    /// <summary>Whether a key with this name is there.</summary>
    public bool Has(string? keyId) => AreSymmetric || (!string.IsNullOrEmpty(keyId) && published?.Keys.Any(key => key.KeyId == keyId) == true);

    /// <summary>Asks the authority, if it has never answered.</summary>
    /// <returns>Whether the keys are there.</returns>
    public async ValueTask<bool> FetchAsync() => AreLoaded || await RefreshAsync() || AreLoaded;

    /// <summary>Waits for an answer of the authority's to a request that begins from now on.</summary>
    /// <returns>False if there is none in time: what is not known now may still be the issuer's.</returns>
    public async ValueTask<bool> RefreshAsync()
    {
        var asked = time.GetTimestamp();
        try
        {
            while (true)
            {
                var request = Latest();
                var left = (Timeout * 2) - time.GetElapsedTime(asked);
                if (left <= TimeSpan.Zero || !await request.Answer.WaitAsync(left, time))
                    return false;
                if (request.BeganAt >= asked)
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
                var pause = latest is null ? TimeSpan.Zero : (backOff > TimeSpan.Zero ? backOff : RetryDelay) - time.GetElapsedTime(endedAt);
                latest = new Request();
                latest.Answer = FetchOnceAsync(latest, pause);
            }

            return latest;
        }
    }

    private async Task<bool> FetchOnceAsync(Request request, TimeSpan pause)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        if (pause > TimeSpan.Zero)
            await Task.Delay(pause, time);
        request.BeganAt = time.GetTimestamp();
        string? reason = null;
        try
        {
            using var deadline = new CancellationTokenSource(Timeout, time);
            var metadata = $"{settings.Authority!.TrimEnd('/')}/.well-known/openid-configuration";
            var configuration = await OpenIdConnectConfigurationRetriever.GetAsync(metadata, new Documents(http, environment), deadline.Token);
            if (configuration.SigningKeys.Count > 0)
                published = new Published([.. configuration.SigningKeys], time.GetTimestamp());
            else
                reason = "it publishes no keys";
        }
        catch (OperationCanceledException)
        {
            reason = $"no answer within {Timeout.TotalSeconds} s";
        }
#pragma warning disable CA1031 // Whatever an issuer answers: it is told of, and asked for again.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            reason = CauseOf(failure);
        }

        return Ended(reason);
    }

    private bool Ended(string? reason)
    {
        TimeSpan? unavailableFor = null;
        var isNews = false;
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
                isNews = reason != Reason;
                if (Reason is null)
                    failingSince = endedAt;
                backOff = backOff == TimeSpan.Zero ? FirstBackOff : TimeSpan.FromTicks(Math.Min((backOff * 2).Ticks, RetryDelay.Ticks));
            }

            Reason = reason;
        }

        if (unavailableFor is { } away)
            Back(away.TotalSeconds);
        if (isNews)
            Unavailable(reason!, AreLoaded ? "tokens signed with known keys are accepted" : "nobody can sign in");
        return reason is null;
    }

    // The outer exceptions say that it failed, the innermost ones why: a certificate, a name, a refused connection.
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

    [LoggerMessage(121, LogLevel.Information, "The issuer is back after {Seconds:0.0} s")]
    private partial void Back(double seconds);

    private sealed record Published(SecurityKey[] Keys, long FetchedAt);

    private sealed class Request
    {
        public Task<bool> Answer { get; set; } = Task.FromResult(false);

        public long BeganAt { get; set; }
    }

    /// <summary>Fetches the issuer's documents, and only those that nobody on the way can have changed: the metadata name the address of the keys.</summary>
    private sealed class Documents(HttpClient http, IHostEnvironment environment) : IDocumentRetriever
    {
        public async Task<string> GetDocumentAsync(string address, CancellationToken cancel) =>
            JwtSettings.IsTrustworthy(address, environment.IsDevelopment())
                ? await http.GetStringAsync(new Uri(address), cancel)
                : throw new HttpRequestException("its keys are at an address without https");
    }
}

/// <summary>A token could not be checked: the issuer's keys are not there, or not all of them.</summary>
internal sealed class IssuerUnavailableException() : Exception("The issuer's keys are missing.");
