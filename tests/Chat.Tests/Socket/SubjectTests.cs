using System.Net;
using System.Security.Claims;
using Chat.Tests.Fixtures;
using Chat.Tokens;
using Microsoft.Extensions.Options;

namespace Chat.Tests.Socket;

/// <summary>Which <c>sub</c> maps to which user, and which of two shared keys may sign.</summary>
public sealed class SubjectTests
{
    private const string Space = "1d3f3a5c-6f0a-4f3b-9a50-3d6c1f0a7e11";

    /// <summary>RFC 9562, A.4.</summary>
    [Fact]
    public void Names_map_to_the_standards_UUIDs() =>
        Assert.Equal(new Guid("2ed6657d-e927-568b-95e1-2665a8aea6a2"),
            SubjectMapper.NameIn(new Guid("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "www.example.com"));

    [Theory]
    [InlineData("auth0|5f7c8ec7c33c6c004bbafe82")]
    [InlineData("248289761001")]
    [InlineData("ключ 鍵")]
    public async Task Any_subject_is_accepted_if_configured(string subject)
    {
        await using var app = await ChatApp.Start(new() { ["Jwt:Subjects"] = "any", ["Jwt:SubjectNamespace"] = Space });
        var token = Forge.With(ChatApp.NewUser(), "sub", subject);

        await using var client = await app.Open($"?token={token}");

        Assert.Equal(SubjectMapper.NameIn(new Guid(Space), subject), (await client.Next("auth_success")).Id("userId"));
    }

    [Fact]
    public void Without_a_namespace_setting_each_issuer_has_its_own()
    {
        var one = UserOf("alice", new JwtSettings { Subjects = "any", Issuer = "https://one.example" });
        var other = UserOf("alice", new JwtSettings { Subjects = "any", Issuer = "https://other.example" });

        Assert.NotEqual(one, other);
        // As in the Python example of docs/operations.md.
        Assert.Equal(new Guid("0c8996e3-d34a-517f-9bc1-abcef949362b"), one);
    }

    /// <summary>Otherwise a user who can choose their subject could choose the id that another user's name maps to.</summary>
    [Fact]
    public void No_subject_can_be_chosen_to_impersonate_another_user()
    {
        var any = new JwtSettings { Subjects = "any", SubjectNamespace = Space };
        var alice = UserOf("alice", any);

        Assert.NotEqual(alice, UserOf($"{alice}", any));
        Assert.NotEqual(alice, UserOf("Alice", any));
    }

    [Fact]
    public void A_UUID_maps_to_itself()
    {
        var id = Guid.NewGuid();

        Assert.Equal(id, UserOf($"{id}", new JwtSettings { Subjects = "any" }));
        Assert.Equal(id, UserOf($"{id}".ToUpperInvariant(), new JwtSettings { Subjects = "any" }));
        Assert.Equal(id, UserOf($"{id}", new JwtSettings()));
    }

    [Theory]
    [InlineData("any", "")]
    [InlineData("any", "  ")]
    [InlineData("any", "a\0b")]
    [InlineData("uuid", "alice")]
    [InlineData(null, "alice")]
    public void An_invalid_subject_is_rejected(string? subjects, string subject) =>
        Assert.Null(UserOf(subject, new JwtSettings { Subjects = subjects }));

    [Fact]
    public void A_subject_above_the_maximum_length_is_rejected() =>
        Assert.Null(UserOf(new string('x', 256), new JwtSettings { Subjects = "any" }));

    [Fact]
    public async Task During_a_key_rotation_tokens_of_both_keys_are_valid()
    {
        await using var app = await ChatApp.Start(
            new() { ["Jwt:PreviousKey"] = ChatApp.Key, ["Jwt:Key"] = "the next key of the tests, as long as the last" });
        var user = ChatApp.NewUser();

        await using (var before = await app.Open($"?token={app.TokenFor(user)}"))
            await before.Next("auth_success");
        var next = Forge.Hmac(
            """{"alg":"HS256","typ":"JWT"}""",
            Forge.Claims(user).ToJsonString(),
            data => System.Security.Cryptography.HMACSHA256.HashData("the next key of the tests, as long as the last"u8, data));
        await using (var after = await app.Open($"?token={next}"))
            await after.Next("auth_success");
        using var http = app.Http();
        http.DefaultRequestHeaders.Authorization = new("Bearer", next);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("/chat/unread")).StatusCode);
    }

    private static Guid? UserOf(string subject, JwtSettings settings) =>
        new SubjectMapper(Options.Create(settings)).UserOf(new ClaimsPrincipal(new ClaimsIdentity([new Claim("sub", subject)])));
}
