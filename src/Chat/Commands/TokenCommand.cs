using System.Globalization;
using System.Text.Json;
using Chat.Tokens;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using TokenValidator = Chat.Tokens.TokenValidator;

namespace Chat.Commands;

/// <summary>
/// Tells why a token is refused, by the very rules of the server. Shows what the token says of itself and never the token, which
/// is better given on standard input: arguments are there for every process to see.
/// </summary>
internal sealed class TokenCommand(TokenValidator reader, IssuerKeys keys, IOptions<JwtSettings> settings, TimeProvider time)
{
    private const string Scheme = "Bearer ";
    private const int MostShown = 200;

    /// <summary>Prints what is in the token, and the verdict.</summary>
    /// <returns>0 if it is accepted, or else 1.</returns>
    public async Task<int> RunAsync(string? given)
    {
        var token = (given ?? await Console.In.ReadLineAsync() ?? "").Trim();
        if (token.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            token = token[Scheme.Length..].Trim();
        var read = Read(token);
        if (read is not null)
            Show(read);
        var reading = await reader.ValidateAsync(token);
        if (reading.Identity is { } identity)
        {
            Print("verdict", $"accepted, as user {identity.Id}; whether it was revoked is not looked at");
            return 0;
        }

        Print("verdict", $"refused: {Reason(reading, read)}");
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

    private string Reason(TokenReadResult reading, JsonWebToken? token)
    {
        if (reading.Refusal is not { } refusal)
            return $"nobody can tell yet, since the issuer's keys cannot be fetched ({keys.Reason ?? "no answer"})";
        if (token is null)
            return "it is no JWT: three parts of base64url, with dots between them";
        var from = keys.AreSymmetric ? "Jwt__Key" : "Jwt__Authority";
        return refusal.Reason switch
        {
            RefusalReason.Expired => "its exp has passed",
            RefusalReason.NoExpiry => "it has no exp",
            RefusalReason.NotYetValid => "its nbf is in the future",
            RefusalReason.BadIssuedAt => "its iat is in the future, or no number",
            RefusalReason.WrongIssuer => $"its iss is not Jwt__Issuer ({settings.Value.Issuer})",
            RefusalReason.WrongAudience => $"its aud is not Jwt__Audience ({settings.Value.Audience})",
            RefusalReason.WrongAlgorithm => $"its alg is not accepted: with {from} it is {(keys.AreSymmetric ? "HS256" : "RS256, PS256 or ES256")}",
            RefusalReason.UnknownKey => "its kid names no key that Jwt__Authority publishes",
            RefusalReason.BadSignature => $"it is not signed with {(keys.AreSymmetric ? "Jwt__Key or Jwt__PreviousKey" : "the key of Jwt__Authority that its kid names")}",
            RefusalReason.WrongType => "its typ says that it is no access token",
            RefusalReason.BadSubject => "its sub is no UUID; Jwt__Subjects=any accepts others",
            _ => reading.Failure?.Message.ReplaceLineEndings(" ") ?? $"{refusal.Reason}",
        };
    }

    // A claim of another type than the library expects.
    private static string Field(Func<string?> read)
    {
        try
        {
            return read() is { Length: > 0 } text ? text : "none";
        }
        catch (Exception malformed) when (malformed is ArgumentException or FormatException or InvalidOperationException or JsonException or SecurityTokenException)
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

    // It is somebody else's text, on its way to a terminal.
    private static string Shown(string text)
    {
        var clean = new string([.. text.Select(letter => char.IsControl(letter) ? '?' : letter)]);
        return clean.Length <= MostShown ? clean : $"{clean[..MostShown]}…";
    }
}

/// <summary>Without the database there are none to look at.</summary>
internal sealed class NoRevocations : ITokenRevocations
{
    public bool IsRevoked(Guid userId, DateTimeOffset issuedAt) => false;

    public bool IsRevoked(TokenReadResult accepted) => false;
}
