using System.Globalization;
using System.Text.Json;
using Chat.Tokens;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using TokenValidator = Chat.Tokens.TokenValidator;

namespace Chat.Commands;

/// <summary>
/// Explains why a token is refused, by the server's own rules. Prints the token's claims and never the token, which is better
/// passed on standard input: arguments are visible to other processes.
/// </summary>
internal sealed class TokenCommand(TokenValidator reader, IssuerKeys keys, IOptions<JwtSettings> settings, TimeProvider time)
{
    private const string Scheme = "Bearer ";
    private const int MaxShown = 200;

    /// <summary>Prints the token's claims, and the verdict.</summary>
    /// <returns>0 if it is accepted, else 1.</returns>
    public async Task<int> RunAsync(string? operand)
    {
        var token = (operand ?? await Console.In.ReadLineAsync() ?? "").Trim();
        if (token.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            token = token[Scheme.Length..].Trim();
        var read = Read(token);
        if (read is not null)
            Show(read);
        var result = await reader.ValidateAsync(token);
        if (result.Identity is { } identity)
        {
            Print("verdict", $"accepted, as user {identity.Id}; revocation is not checked");
            return 0;
        }

        Print("verdict", $"refused: {Reason(result, read)}");
        return 1;
    }

    private static JsonWebToken? Read(string token)
    {
        try
        {
            return new JsonWebToken(token);
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException)
        {
            return null;
        }
    }

    private void Show(JsonWebToken token)
    {
        Print("alg, kid", $"{Field(() => token.Alg)}, {Field(() => token.Kid)}");
        Print("iss", Field(() => token.Issuer));
        Print("aud", Field(() => string.Join(", ", token.Audiences)));
        Print("sub", Field(() => token.Subject));
        Print("iat", Field(() => At(token.IssuedAt)));
        Print("nbf", Field(() => At(token.ValidFrom)));
        Print("exp", Field(() => At(token.ValidTo)));
    }

    private string Reason(TokenReadResult result, JsonWebToken? token)
    {
        if (result.Refusal is not { } refusal)
            return $"undecided: the issuer's keys cannot be fetched ({keys.Reason ?? "no answer"})";
        if (token is null)
            return "it is not a JWT: three parts of base64url, separated by dots";
        var from = keys.AreSymmetric ? "Jwt__Key" : "Jwt__Authority";
        return refusal.Reason switch
        {
            RefusalReason.Expired => "its exp has passed",
            RefusalReason.NoExpiry => "it has no exp",
            RefusalReason.NotYetValid => "its nbf is in the future",
            RefusalReason.BadIssuedAt => "its iat is in the future, or not a number",
            RefusalReason.WrongIssuer => $"its iss is not Jwt__Issuer ({settings.Value.Issuer})",
            RefusalReason.WrongAudience => $"its aud is not Jwt__Audience ({settings.Value.Audience})",
            RefusalReason.WrongAlgorithm =>
                $"its alg is not accepted: with {from} it is {(keys.AreSymmetric ? "HS256" : "RS256, PS256 or ES256")}",
            RefusalReason.UnknownKey => "its kid names no key that Jwt__Authority publishes",
            RefusalReason.BadSignature =>
                $"it is not signed with {(keys.AreSymmetric ? "Jwt__Key or Jwt__PreviousKey" : "the key of Jwt__Authority that its kid names")}",
            RefusalReason.WrongType => "its typ is not that of an access token",
            RefusalReason.BadSubject => "its sub is not a UUID; Jwt__Subjects=any accepts others",
            _ => result.Failure?.Message.ReplaceLineEndings(" ") ?? $"{refusal.Reason}",
        };
    }

    // The claim's type is not the one that the library expects.
    private static string Field(Func<string?> read)
    {
        try
        {
            return read() is { Length: > 0 } text ? text : "none";
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException or InvalidOperationException or JsonException
            or SecurityTokenException)
        {
            return "unreadable";
        }
    }

    private string At(DateTime moment) => moment == DateTime.MinValue
        ? "none"
        : string.Create(CultureInfo.InvariantCulture, $"{moment:yyyy-MM-dd'T'HH:mm:ss'Z'} ({Distance(moment)})");

    private string Distance(DateTime moment)
    {
        var ahead = moment - time.GetUtcNow().UtcDateTime;
        var whole = TimeSpan.FromSeconds(Math.Round(ahead.Duration().TotalSeconds));
        return ahead > TimeSpan.Zero ? $"in {whole:c}" : $"{whole:c} ago";
    }

    private static void Print(string name, string text) => Console.WriteLine($"{name,-10}{Shown(text)}");

    // Untrusted text, on its way to a terminal.
    private static string Shown(string text)
    {
        var clean = new string([.. text.Select(letter => char.IsControl(letter) ? '?' : letter)]);
        return clean.Length <= MaxShown ? clean : $"{clean[..MaxShown]}…";
    }
}

/// <summary>Used without a database, where no revocations are known.</summary>
internal sealed class NoRevocations : ITokenRevocations
{
    public bool IsRevoked(Guid userId, DateTimeOffset issuedAt) => false;

    public bool IsRevoked(TokenReadResult accepted) => false;
}
