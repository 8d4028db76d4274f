using Npgsql;
using StackExchange.Redis;

namespace Chat.Settings;

/// <summary>The settings in force, for people who look for a fault: each setting with its value or its default, and no secret.</summary>
internal static class SettingsReport
{
    private const string Hidden = "(set, not shown)";

    // Known to be no secret; all else in a connection string is left out.
    private static readonly string[] Harmless = ["Host", "Port", "Database", "SSL Mode", "Maximum Pool Size", "Timeout", "Command Timeout"];

    /// <summary>A line for each setting.</summary>
    public static IEnumerable<string> Lines(IConfiguration configuration) => SettingsCatalog.All.Select(setting => $"{setting.Name} = {Value(setting, configuration[setting.Name])}");

    private static string Value(Setting setting, string? value) => setting switch
    {
        _ when string.IsNullOrWhiteSpace(value) => setting.Default.Length == 0 ? "(not set)" : $"(default) {setting.Default.Replace("`", "", StringComparison.Ordinal)}",
        { Name: "ConnectionStrings:Postgres" } => Postgres(value),
        { Name: "ConnectionStrings:Redis" } => Redis(value),
        { IsSecret: true } => Hidden,
        _ => Shown(value),
    };

    /// <summary>An address without what may be a secret in it: user, password and query.</summary>
    internal static string Shown(string value)
    {
        if (!Uri.TryCreate(value, UriKind.Absolute, out var address) || address.Host.Length == 0 || (address.UserInfo.Length == 0 && address.Query.Length == 0))
            return value;
        return $"{address.Scheme}://{(address.UserInfo.Length > 0 ? "…@" : "")}{address.Authority}{address.AbsolutePath}{(address.Query.Length > 0 ? "?…" : "")}";
    }

    // What is given, and not what Npgsql takes where nothing is: the server has defaults of its own.
    private static string Postgres(string value)
    {
        var parts = new NpgsqlConnectionStringBuilder(value);
        return $"{string.Concat(Harmless.Where(parts.ShouldSerialize).Select(name => $"{name}={parts[name]};"))}… {Hidden}";
    }

    private static string Redis(string value)
    {
        var parts = ConfigurationOptions.Parse(value);
        return $"{string.Join(',', parts.EndPoints)},ssl={parts.Ssl},… {Hidden}";
    }
}
