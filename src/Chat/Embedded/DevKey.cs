using Chat.Tokens;

namespace Chat.Embedded;

/// <summary>
/// The key that signs tokens in Development when none is configured: made at the first start and kept beside the
/// embedded data, so that a token outlives a restart. It is never committed, so there is none for Production to refuse.
/// </summary>
internal static class DevKey
{
    /// <summary>Its file in the data folder.</summary>
    public const string File = "dev-key";

    /// <summary>Configures key, issuer and audience, where the configuration names no way to check tokens.</summary>
    public static void Configure(IConfigurationManager configuration, IHostEnvironment environment)
    {
        var jwt = configuration.GetSection("Jwt").Get<JwtSettings>() ?? new JwtSettings();
        if (!environment.IsDevelopment() || !string.IsNullOrEmpty(jwt.Key) || !string.IsNullOrEmpty(jwt.Authority))
            return;
        var folder = DataFolder.PathOf(configuration, environment);
        DataFolder.CreateClosed(folder);
        var file = Path.Combine(folder, File);
        var kept = Secrets.Load(file);
        var key = kept ?? Secrets.New();
        if (kept is null)
            Secrets.Save(file, key);
        configuration.AddInMemoryCollection([
            new("Jwt:Key", key),
            new("Jwt:Issuer", jwt.Issuer ?? "chat-dev"),
            new("Jwt:Audience", jwt.Audience ?? "chat"),
        ]);
    }
}
