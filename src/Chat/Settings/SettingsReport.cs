using Npgsql;
using StackExchange.Redis;

namespace Chat.Settings;

/// <summary>Lists the effective settings for troubleshooting: each with its value or default, without secrets.</summary>
internal static class SettingsReport
{
    private const string Hidden = "(set, not shown)";

    // Known not to be secret; the rest of a connection string is omitted.
    private static readonly string[] Harmless = ["Host", "Port", "Database", "SSL Mode", "Maximum Pool Size", "Timeout", "Command Timeout"];

    /// <summary>Returns one line per setting.</summary>
    public static IEnumerable<string> Lines(IConfiguration configuration) =>
        SettingsCatalog.All.Select(setting => $"{setting.Name} = {Value(setting, configuration[setting.Name])}");

    private static string Value(Setting setting, string? value) => setting switch
    {
        _ when string.IsNullOrWhiteSpace(value) =>
            setting.Default.Length == 0 ? "(not set)" : $"(default) {setting.Default.Replace("`", "", StringComparison.Ordinal)}",
        { Name: "ConnectionStrings:Postgres" } => Postgres(value),
        { Name: "ConnectionStrings:Redis" } => Redis(value),
        { IsSecret: true } => Hidden,
        _ => Shown(value),
    };

    /// <summary>Removes the parts of a URL that may be secret: user, password and query.</summary>
    internal static string Shown(string value)
    {
        if (!Uri.TryCreate(value, UriKind.Absolute, out var address)
            || address.Host.Length == 0 || (address.UserInfo.Length == 0 && address.Query.Length == 0))
            return value;
        return $"{address.Scheme}://{(address.UserInfo.Length > 0 ? "…@" : "")}{address.Authority}{address.AbsolutePath}{(address.Query.Length > 0 ? "?…" : "")}";
    }

    // Only what was given, and not Npgsql's defaults: the server has defaults of its own.
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
