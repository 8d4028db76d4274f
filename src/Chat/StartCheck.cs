using Chat.Tokens;

namespace Chat;

/// <summary>What must be configured, checked before anything is started.</summary>
internal static class StartCheck
{
    /// <exception cref="StartException">Something is missing or weak; the message names all of it.</exception>
    public static void Run(IConfiguration configuration)
    {
        var faults = new List<string>();
        if (string.IsNullOrWhiteSpace(configuration.GetConnectionString("Postgres")))
            faults.Add("ConnectionStrings__Postgres is missing.");
        if (string.IsNullOrWhiteSpace(configuration.GetConnectionString("Redis")))
            faults.Add("ConnectionStrings__Redis is missing.");
        faults.AddRange((configuration.GetSection("Jwt").Get<JwtSettings>() ?? new JwtSettings()).Faults());
        if (faults.Count > 0)
            throw new StartException("Not configured: " + string.Join(' ', faults));
    }
}
