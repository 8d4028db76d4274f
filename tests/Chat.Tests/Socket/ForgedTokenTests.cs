using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Chat.Tests.Fixtures;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tests.Socket;

/// <summary>
/// Every known way to forge a token. Each is tried over REST, by query and by first frame, and none of the three accepts
/// it.
/// </summary>
public sealed class ForgedTokenTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private static readonly TestUser Victim = ChatApp.NewUser();
    private static readonly Dictionary<string, Func<string>> Forgeries = Table();
    private readonly ChatApp app = shared.App;

    public static TheoryData<string> Names => [.. Forgeries.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_forged_token_is_rejected(string forgery)
    {
        var token = Forgeries[forgery]();
        var code = forgery.StartsWith("expired", StringComparison.Ordinal) ? "TOKEN_EXPIRED" : "TOKEN_INVALID";

        await RefusesOverRest(token);
        await using (var byQuery = await app.Open(query: $"?token={Uri.EscapeDataString(token)}"))
            await RefusesOnTheSocket(byQuery, code, id: null);
        await using (var byFrame = await app.Open())
        {
            await byFrame.Send("auth", new { token }, "a1");
            await RefusesOnTheSocket(byFrame, code, "a1");
        }
    }

    [Fact]
    public void There_are_at_least_thirty_kinds() => Assert.True(Forgeries.Count >= 30);

    /// <summary>Guards against tokens that are rejected for another reason than the one under test.</summary>
    [Fact]
    public async Task The_same_handmade_token_unmodified_is_accepted()
    {
        var user = ChatApp.NewUser();
        var token = Forge.Signed(Forge.Claims(user));

        await using var client = await app.Open(query: $"?token={token}");

        Assert.Equal(user.Id, (await client.Next("auth_success")).Id("userId"));
        Assert.Equal(HttpStatusCode.OK, (await GetUnread(token)).StatusCode);
    }

    [Fact]
    public async Task A_token_for_several_audiences_including_ours_is_accepted()
    {
        await LetsIn(Forge.With(ChatApp.NewUser(), "aud", new JsonArray("mail", ChatApp.Audience)));
    }

    [Theory]
    [InlineData("""{"alg":"HS256"}""")]
    [InlineData("""{"alg":"HS256","typ":"jwt"}""")]
    [InlineData("""{"alg":"HS256","typ":"at+jwt"}""")]
    [InlineData("""{"alg":"HS256","typ":"application/at+JWT"}""")]
    public async Task A_token_of_the_right_type_is_accepted(string header) =>
        await LetsIn(Forge.Signed(Forge.Claims(ChatApp.NewUser()), header));

    /// <summary>Clocks differ, and some issuers use fractional seconds.</summary>
    [Theory]
    [InlineData(20)]
    [InlineData(-20.5)]
    public async Task A_token_within_the_clock_skew_is_accepted(double ahead) =>
        await LetsIn(Forge.With(ChatApp.NewUser(), "iat", DateTimeOffset.UtcNow.ToUnixTimeSeconds() + ahead));

    [Theory]
    [InlineData("253402300799")]
    [InlineData("9223372036854775807")]
    public async Task A_token_that_expires_at_the_end_of_time_is_accepted(string exp)
    {
        var token = Forge.Signed(
            Forge.Claims(ChatApp.NewUser()).ToJsonString().Replace("\"exp\":", $"\"exp\":{exp},\"was\":", StringComparison.Ordinal));

        await LetsIn(token);
    }

    /// <summary>RFC 7519, 4: of duplicate claims the last one counts, or the token is rejected.</summary>
    [Fact]
    public async Task Of_duplicate_sub_claims_the_last_one_wins_on_socket_and_REST()
    {
        var (first, last) = (ChatApp.NewUser(), ChatApp.NewUser());
        var token = Forge.Signed(
            Forge.Claims(last).ToJsonString().Replace("{\"sub\"", $"{{\"sub\":\"{first.Id}\",\"sub\"", StringComparison.Ordinal));

        await using var client = await app.Open(query: $"?token={token}");
        Assert.Equal(last.Id, (await client.Next("auth_success")).Id("userId"));

        // The member of the new conversation shows which user the request ran as.
        var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", token);
        var opened = await http.PostAsJsonAsync("/chat/conversations", new { userId = first.Id });
        Assert.Equal(HttpStatusCode.Created, opened.StatusCode);
        var members = (await opened.Content.ReadFromJsonAsync<JsonElement>()).List("members");
        Assert.Contains(last.Id, members.Select(member => member.Id("userId")));
    }

    /// <summary>Names come from the issuer, but often originate from the user.</summary>
    [Theory]
    [InlineData("preferred_username")]
    [InlineData("name")]
    [InlineData("picture")]
    public async Task An_unusual_name_in_a_valid_token_does_not_prevent_sign_in(string claim)
    {
        // Random, so that the database cannot compress it into its index.
        var random = new Random(1);
        var huge = new string([.. Enumerable.Range(0, 2000).Select(_ => (char)random.Next(0x4E00, 0x9FFF))]);
        JsonNode[] strange = [huge, "\u202Eadmin", "\0", "", " ", 42, new JsonArray("a", "b"), new JsonObject { ["a"] = "b" }];
        foreach (var name in strange)
            await LetsIn(Forge.With(ChatApp.NewUser(), claim, name.DeepClone()));
    }

    /// <summary>A frame is limited to 64 KiB, so this one never reaches the token validation; over the other two ways it does.</summary>
    [Fact]
    public async Task A_token_of_a_megabyte_is_rejected()
    {
        var token = Forge.With(Victim, "padding", new string('x', 1024 * 1024));

        await RefusesOverRest(token);
        await using var byQuery = await app.Open(query: $"?token={token}");
        await RefusesOnTheSocket(byQuery, "TOKEN_INVALID", id: null);
        await using var byFrame = await app.Open();
        await byFrame.Send("auth", new { token });
        Assert.Equal(1009, await byFrame.Closed());
    }

    private async Task RefusesOverRest(string token)
    {
        var response = await GetUnread(token);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal("UNAUTHORIZED", (await response.Content.ReadFromJsonAsync<JsonElement>()).Text("code"));
    }

    private static async Task RefusesOnTheSocket(SocketClient client, string code, string? id)
    {
        var refused = await client.Next("auth_failed");
        Assert.Equal(code, refused.Text("code"));
        Assert.Equal(id, refused.Id);
        Assert.Equal(4501, await client.Closed());
        Assert.Single(client.Frames);
    }

    private async Task LetsIn(string token)
    {
        await using var client = await app.Open(query: $"?token={token}");
        await client.Next("auth_success");
        Assert.Equal(HttpStatusCode.OK, (await GetUnread(token)).StatusCode);
    }

    private Task<HttpResponseMessage> GetUnread(string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/chat/unread");
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        return app.Http().SendAsync(request);
    }

    private static Dictionary<string, Func<string>> Table()
    {
        // Relative to the creation of the token, not of the table: other tests may have taken minutes in between.
        long Now() => DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        string Claims() => Forge.Claims(Victim).ToJsonString();
        string Good() => Forge.Signed(Forge.Claims(Victim));
        string[] Parts() => Good().Split('.');
        string Unsigned(string alg) => $"{Forge.Part($$"""{"alg":"{{alg}}","typ":"JWT"}""")}.{Forge.Part(Claims())}.";
        string KeptSignature(string alg) => $"{Forge.Part($$"""{"alg":"{{alg}}","typ":"JWT"}""")}.{Parts()[1]}.{Parts()[2]}";
        string ByKey(byte[] key, string header = """{"alg":"HS256","typ":"JWT"}""") =>
            Forge.Hmac(header, Claims(), data => HMACSHA256.HashData(key, data));
        string Sub(JsonNode? sub) => Forge.With(Victim, "sub", sub);
        string Raw(string was, string becomes) => Forge.Signed(Claims().Replace(was, becomes, StringComparison.Ordinal));

        return new()
        {
            // Algorithm
            ["no algorithm: none"] = () => Unsigned("none"),
            ["no algorithm: None"] = () => Unsigned("None"),
            ["no algorithm: NONE"] = () => Unsigned("NONE"),
            ["no algorithm: nOnE"] = () => Unsigned("nOnE"),
            ["no algorithm: empty"] = () => Unsigned(""),
            ["no algorithm: none, over a good signature"] = () => KeptSignature("none"),
            ["no algorithm: the field is missing"] = () => ByKey(Forge.Key, """{"typ":"JWT"}"""),
            ["no algorithm: the field is null"] = () => ByKey(Forge.Key, """{"alg":null,"typ":"JWT"}"""),
            ["no algorithm: the field is a list"] = () => ByKey(Forge.Key, """{"alg":["HS256"],"typ":"JWT"}"""),
            ["no algorithm: none behind HS256"] = () => $"{Forge.Part("""{"alg":"HS256","alg":"none"}""")}.{Forge.Part(Claims())}.",
            ["no algorithm: none before HS256"] = () => $"{Forge.Part("""{"alg":"none","alg":"HS256"}""")}.{Forge.Part(Claims())}.",
            ["another algorithm: HS384 with the right key"] =
                () => Forge.Hmac("""{"alg":"HS384","typ":"JWT"}""", Claims(), data => HMACSHA384.HashData(Forge.Key, data)),
            ["another algorithm: HS512 with the right key"] =
                () => Forge.Hmac("""{"alg":"HS512","typ":"JWT"}""", Claims(), data => HMACSHA512.HashData(Forge.Key, data)),
            ["another algorithm: hs256"] = () => ByKey(Forge.Key, """{"alg":"hs256","typ":"JWT"}"""),
            ["another algorithm: RS256 with a key of one's own"] = () => Forge.Rs256("""{"alg":"RS256","typ":"JWT"}""", Claims()),
            ["another algorithm: PS256 with a key of one's own"] = () => Forge.Ps256("""{"alg":"PS256","typ":"JWT"}""", Claims()),
            ["another algorithm: ES256 with a key of one's own"] = () => Forge.Es256("""{"alg":"ES256","typ":"JWT"}""", Claims()),
            ["another algorithm: HS256 claimed, RS256 signed"] = () => Forge.Rs256("""{"alg":"HS256","typ":"JWT"}""", Claims()),

            // Key
            ["wrong key"] = () => ByKey(Encoding.UTF8.GetBytes("another key, and long enough for HS256 too")),
            ["wrong key: ours but for one bit"] = () => ByKey([(byte)(Forge.Key[0] ^ 1), .. Forge.Key[1..]]),
            ["wrong key: ours with a blank behind it"] = () => ByKey([.. Forge.Key, (byte)' ']),
            ["wrong key: empty"] = () => ByKey([]),
            ["wrong key: an RSA public key (PEM) as the secret"] = () => ByKey(Forge.PublicKeyPem),
            ["wrong key: an RSA public key (DER) as the secret"] = () => ByKey(Forge.PublicKeyDer),
            ["wrong key: kid is a path"] = () => ByKey([0], """{"alg":"HS256","typ":"JWT","kid":"../../../../dev/null"}"""),
            ["wrong key: kid is SQL"] =
                () => ByKey(Encoding.UTF8.GetBytes("secret"), """{"alg":"HS256","typ":"JWT","kid":"x' union select 'secret"}"""),
            ["wrong key: kid is the key"] = () => ByKey(Encoding.UTF8.GetBytes("my kid"), """{"alg":"HS256","typ":"JWT","kid":"my kid"}"""),
            ["wrong key: jwk in the header"] = () => Forge.Rs256($$"""{"alg":"RS256","typ":"JWT","jwk":{{Forge.Jwk}}}""", Claims()),
            ["wrong key: jku in the header"] =
                () => Forge.Rs256("""{"alg":"RS256","typ":"JWT","kid":"k","jku":"http://127.0.0.1:9/keys"}""", Claims()),
            ["wrong key: x5u in the header"] =
                () => Forge.Rs256("""{"alg":"RS256","typ":"JWT","x5u":"http://127.0.0.1:9/cert"}""", Claims()),
            ["wrong key: symmetric jwk in the header"] = () => ByKey(
                Encoding.UTF8.GetBytes("a key of the forger's own, long enough"),
                $$"""{"alg":"HS256","typ":"JWT","jwk":{"kty":"oct","k":"{{Base64UrlEncoder.Encode("a key of the forger's own, long enough")}}"} }"""),

            // Signature
            ["signature stripped"] = () => $"{Parts()[0]}.{Parts()[1]}.",
            ["signature stripped with its dot"] = () => $"{Parts()[0]}.{Parts()[1]}",
            ["signature cut short"] = () => Good()[..^2],
            ["signature of another token"] =
                () => $"{Parts()[0]}.{Parts()[1]}.{Forge.Signed(Forge.Claims(ChatApp.NewUser())).Split('.')[2]}",
            ["signature all zero"] = () => $"{Parts()[0]}.{Parts()[1]}.{Base64UrlEncoder.Encode(new byte[32])}",
            ["payload swapped for another user's"] =
                () => $"{Parts()[0]}.{Forge.Part(Forge.Claims(ChatApp.NewUser()).ToJsonString())}.{Parts()[2]}",
            ["header swapped"] = () => $"{Forge.Part("""{"typ":"JWT","alg":"HS256"}""")}.{Parts()[1]}.{Parts()[2]}",

            // Lifetime
            ["expired a second past the skew"] = () => Forge.With(Victim, "exp", Now() - 31),
            ["expired long ago"] = () => Forge.With(Victim, "exp", Now() - 1_000_000),
            ["expired in 1970"] = () => Forge.With(Victim, "exp", 1),
            ["exp missing"] = () => Forge.Without(Victim, "exp"),
            ["exp null"] = () => Forge.With(Victim, "exp", null),
            ["exp is a word"] = () => Forge.With(Victim, "exp", "never"),
            ["exp is a list"] = () => Forge.With(Victim, "exp", new JsonArray(Now() + 3600)),
            ["nbf an hour ahead"] = () => Forge.With(Victim, "nbf", Now() + 3600),
            ["nbf far ahead"] = () => Forge.With(Victim, "nbf", 253402300000),

            ["iat past the skew ahead"] = () => Forge.With(Victim, "iat", Now() + 60),
            ["iat at the end of time"] = () => Forge.With(Victim, "iat", long.MaxValue),
            ["iat is a word"] = () => Forge.With(Victim, "iat", "now"),
            ["iat is a list"] = () => Forge.With(Victim, "iat", new JsonArray(Now())),

            // Extensions and other token types
            ["crit with an extension of the forger's own"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":"JWT","crit":["x"],"x":1}"""),
            ["crit with exp"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":"JWT","crit":["exp"],"exp":1}"""),
            ["crit empty"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":"JWT","crit":[]}"""),
            ["crit null"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":"JWT","crit":null}"""),
            ["typ of a logout token"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":"logout+jwt"}"""),
            ["typ of a proof of possession"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":"dpop+jwt"}"""),
            ["typ an image"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":"image/jwt"}"""),
            ["typ empty"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":""}"""),
            ["typ a number"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":1}"""),
            ["typ null"] = () => ByKey(Forge.Key, """{"alg":"HS256","typ":null}"""),

            // Issuer and audience
            ["aud wrong"] = () => Forge.With(Victim, "aud", "mail"),
            ["aud missing"] = () => Forge.Without(Victim, "aud"),
            ["aud empty"] = () => Forge.With(Victim, "aud", ""),
            ["aud an empty list"] = () => Forge.With(Victim, "aud", new JsonArray()),
            ["aud a list without us"] = () => Forge.With(Victim, "aud", new JsonArray("mail", "CHAT", "chat ")),
            ["aud in capitals"] = () => Forge.With(Victim, "aud", "CHAT"),
            ["aud null"] = () => Forge.With(Victim, "aud", null),
            ["aud an object"] = () => Forge.With(Victim, "aud", new JsonObject { ["chat"] = true }),
            ["iss wrong"] = () => Forge.With(Victim, "iss", "somebody"),
            ["iss missing"] = () => Forge.Without(Victim, "iss"),
            ["iss empty"] = () => Forge.With(Victim, "iss", ""),
            ["iss null"] = () => Forge.With(Victim, "iss", null),
            ["iss a list with us"] = () => Forge.With(Victim, "iss", new JsonArray(ChatApp.Issuer, "somebody")),

            // Subject
            ["sub missing"] = () => Forge.Without(Victim, "sub"),
            ["sub empty"] = () => Sub(""),
            ["sub null"] = () => Sub(null),
            ["sub a name"] = () => Sub("alice"),
            ["sub a number"] = () => Sub(42),
            ["sub true"] = () => Sub(true),
            ["sub nobody's id"] = () => Sub(Guid.Empty.ToString()),
            ["sub in braces"] = () => Sub(Victim.Id.ToString("B")),
            ["sub without hyphens"] = () => Sub(Victim.Id.ToString("N")),
            ["sub in parentheses"] = () => Sub(Victim.Id.ToString("P")),
            ["sub in hexadecimal form"] = () => Sub(Victim.Id.ToString("X")),
            ["sub with blanks around"] = () => Sub($" {Victim.Id} "),
            ["sub with U+0000 behind"] = () => Sub($"{Victim.Id}\0"),
            ["sub a list"] = () => Sub(new JsonArray(Victim.Id.ToString())),
            ["sub a list of two"] = () => Sub(new JsonArray(Guid.NewGuid().ToString(), Victim.Id.ToString())),
            ["sub an object"] = () => Sub(new JsonObject { ["id"] = Victim.Id.ToString() }),
            ["sub in other digits"] = () => Sub(
                new string([.. Victim.Id.ToString().Select(digit => char.IsAsciiDigit(digit) ? (char)(digit - '0' + '\u0660') : digit)])),
            ["sub a lone surrogate"] = () => Raw(Victim.Id.ToString(), "\\ud800"),

            // Format
            ["nothing"] = () => "",
            ["a blank"] = () => " ",
            ["a word"] = () => "token",
            ["dots alone"] = () => "..",
            ["a thousand dots"] = () => new string('.', 1000),
            ["a part too many"] = () => Good() + ".x",
            ["a dot behind"] = () => Good() + ".",
            ["a dot in front"] = () => "." + Good(),
            ["cut in half"] = () => Good()[..(Good().Length / 2)],
            ["a blank inside"] = () => Good().Insert(10, " "),
            ["a line break inside"] = () => Good().Insert(Good().LastIndexOf('.'), "%0A"),
            ["padding inside"] = () => $"{Parts()[0]}==.{Parts()[1]}==.{Parts()[2]}==",
            ["other letters"] = () => "ключ.鍵.🔑",
            ["Bearer twice"] = () => "Bearer " + Good(),
            ["header no JSON"] = () => Forge.Hmac("HS256", Claims(), data => HMACSHA256.HashData(Forge.Key, data)),
            ["header a list"] = () => ByKey(Forge.Key, "[]"),
            ["claims no JSON"] = () => Forge.Signed("sub=1"),
            ["claims a list"] = () => Forge.Signed("[]"),
            ["claims null"] = () => Forge.Signed("null"),
            ["claims cut short"] = () => Forge.Signed(Claims()[..^1]),
            ["claims very deep"] = () => Raw("\"sub\"", $"\"x\":{new string('[', 10_000)}{new string(']', 10_000)},\"sub\""),
            ["encrypted (JWE) for a key of one's own"] =
                () => Encrypted(Claims(), "a key of the forger's own, long enough"u8.ToArray()[..32]),
            ["encrypted (JWE) for the signing key"] = () => Encrypted(Claims(), Forge.Key[..32]),
            ["encrypted (JWE) of five empty parts"] = () => $"{Forge.Part("""{"alg":"dir","enc":"A256GCM"}""")}....",
        };
    }

    private static string Encrypted(string claims, byte[] key) => new JsonWebTokenHandler().EncryptToken(
        Forge.Signed(claims),
        new EncryptingCredentials(new SymmetricSecurityKey(key), JwtConstants.DirectKeyUseAlg, SecurityAlgorithms.Aes128CbcHmacSha256));
}
