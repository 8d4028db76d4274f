using Chat.Tokens;

namespace Chat.Embedded;

/// <summary>
/// The signing key of Development if none is configured: generated at the first start and kept beside the embedded data, so that
/// tokens survive a restart. It is never committed, so that no well-known key exists.
/// </summary>
internal static class DevKey
{
    /// <summary>The key's file in the data folder.</summary>
    public const string File = "dev-key";

    /// <summary>Sets key, issuer and audience if the configuration has neither a key nor an authority.</summary>
    public static void Configure(IConfigurationManager configuration, IHostEnvironment environment)
    {
        var jwt = configuration.GetSection("Jwt").Get<JwtSettings>() ?? new JwtSettings();
        if (!environment.IsDevelopment() || !string.IsNullOrEmpty(jwt.Key) || !string.IsNullOrEmpty(jwt.Authority))
            return;
        var folder = DataFolder.PathOf(configuration, environment);
        DataFolder.CreateClosed(folder);
        var file = Path.Combine(folder, File);
        var saved = Secrets.Load(file);
        var key = saved ?? Secrets.New();
        if (saved is null)
            Secrets.Save(file, key);
        configuration.AddInMemoryCollection([
            new("Jwt:Key", key),
            new("Jwt:Issuer", jwt.Issuer ?? "chat-dev"),
            new("Jwt:Audience", jwt.Audience ?? "chat"),
        ]);
    }
}
