using System.Security.Cryptography;
using Chat.Tokens;

namespace Chat.Embedded;

/// <summary>
/// The key that signs tokens in Development when none is configured: made at the first start and kept beside the
/// embedded data, so that a token outlives a restart. It is never committed, so there is none for Production to refuse.
/// </summary>
internal static class DevKey
{
    private const string File = "dev-key";

    /// <summary>Configures key, issuer and audience, where the configuration names no way to check tokens.</summary>
    public static void Configure(IConfigurationManager configuration, IHostEnvironment environment)
    {
        var jwt = configuration.GetSection("Jwt").Get<JwtSettings>() ?? new JwtSettings();
        if (!environment.IsDevelopment() || !string.IsNullOrEmpty(jwt.Key) || !string.IsNullOrEmpty(jwt.Authority))
            return;
        configuration.AddInMemoryCollection([
            new("Jwt:Key", LoadOrCreate(EmbeddedServers.DataPath(configuration, environment))),
            new("Jwt:Issuer", jwt.Issuer ?? "chat-dev"),
            new("Jwt:Audience", jwt.Audience ?? "chat"),
        ]);
    }

    private static string LoadOrCreate(string folder)
    {
        var path = Path.Combine(folder, File);
        if (!System.IO.File.Exists(path))
        {
            Directory.CreateDirectory(folder);
            System.IO.File.WriteAllText(path, Convert.ToBase64String(RandomNumberGenerator.GetBytes(JwtSettings.MinKeyBytes)));
        }

        return System.IO.File.ReadAllText(path);
    }
}
