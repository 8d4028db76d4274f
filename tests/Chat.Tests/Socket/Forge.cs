using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Chat.Tests.Fixtures;
using Microsoft.IdentityModel.Tokens;

namespace Chat.Tests.Socket;

/// <summary>
/// Builds tokens by hand, byte by byte: a correct library would refuse to build most of these.
/// </summary>
internal static class Forge
{
    public static readonly byte[] Key = Encoding.UTF8.GetBytes(ChatApp.Key);

    private const string Header = """{"alg":"HS256","typ":"JWT"}""";

    private static readonly RSA Rsa = RSA.Create(2048);
    private static readonly ECDsa Ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    /// <summary>The claims of a valid token, for tests to modify.</summary>
    public static JsonObject Claims(TestUser user)
    {
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        return new JsonObject
        {
            ["sub"] = user.Id.ToString(),
            ["preferred_username"] = user.Username,
            ["iss"] = ChatApp.Issuer,
            ["aud"] = ChatApp.Audience,
            ["iat"] = now,
            ["exp"] = now + 3600,
        };
    }

    /// <summary>A token over these claims with a valid signature.</summary>
    public static string Signed(JsonObject claims, string header = Header) => Signed(claims.ToJsonString(), header);

    /// <summary>A token over this text with a valid signature.</summary>
    public static string Signed(string claims, string header = Header) => Hmac(header, claims, data => HMACSHA256.HashData(Key, data));

    /// <summary>A token with one changed claim and a valid signature.</summary>
    public static string With(TestUser user, string claim, JsonNode? value)
    {
        var claims = Claims(user);
        claims[claim] = value;
        return Signed(claims);
    }

    /// <summary>A token without one claim and with a valid signature.</summary>
    public static string Without(TestUser user, string claim)
    {
        var claims = Claims(user);
        claims.Remove(claim);
        return Signed(claims);
    }

    /// <summary>A token of these parts with a signature by this function.</summary>
    public static string Hmac(string header, string claims, Func<byte[], byte[]> sign)
    {
        var content = $"{Part(header)}.{Part(claims)}";
        return $"{content}.{Base64UrlEncoder.Encode(sign(Encoding.ASCII.GetBytes(content)))}";
    }

    public static string Rs256(string header, string claims) =>
        Hmac(header, claims, data => Rsa.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));

    public static string Ps256(string header, string claims) =>
        Hmac(header, claims, data => Rsa.SignData(data, HashAlgorithmName.SHA256, RSASignaturePadding.Pss));

    public static string Es256(string header, string claims) =>
        Hmac(header, claims, data => Ecdsa.SignData(data, HashAlgorithmName.SHA256));

    /// <summary>The forger's RSA key as a JSON Web Key header.</summary>
    public static string Jwk
    {
        get
        {
            var key = Rsa.ExportParameters(includePrivateParameters: false);
            return $$"""{"kty":"RSA","n":"{{Base64UrlEncoder.Encode(key.Modulus)}}","e":"{{Base64UrlEncoder.Encode(key.Exponent)}}"}""";
        }
    }

    public static byte[] PublicKeyPem => Encoding.ASCII.GetBytes(Rsa.ExportSubjectPublicKeyInfoPem());

    public static byte[] PublicKeyDer => Rsa.ExportSubjectPublicKeyInfo();

    public static string Part(string json) => Base64UrlEncoder.Encode(Encoding.UTF8.GetBytes(json));
}
