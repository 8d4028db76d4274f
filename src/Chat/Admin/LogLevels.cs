using System.Text.RegularExpressions;
using Chat.Rest;
using Chat.Socket;
using Chat.Telemetry;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Chat.Admin;

/// <summary>
/// <c>/log-level</c>: changes what this node logs at run time, for a limited time or until it is reset. At no level are tokens or message
/// contents logged.
/// </summary>
internal sealed partial class LogLevelModule(LevelOverrides overrides, IConfiguration configuration, AuditLog audit) : IAdminModule
{
    private static readonly TimeSpan MinDuration = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxDuration = TimeSpan.FromHours(23);

    public void Map(IEndpointRouteBuilder admin)
    {
        admin.MapGet("/log-level", (HttpContext http) => new AdminQuery(http).Refusal ?? Levels()).WithSummary("Shows the log levels.");
        admin.MapPut("/log-level", Set).WithSummary("Sets a log level. ?category=&level=&for=hours:minutes:seconds");
        admin.MapDelete("/log-level", Reset).WithSummary("Resets log levels to the configured ones. ?category=");
    }

    private IResult Set(HttpContext http)
    {
        var query = new AdminQuery(http, "category", "level", "for");
        var (category, level, duration) =
            (query.Text("category"), query.Choice<LogLevel>("level"), query.Time("for", MinDuration, MaxDuration));
        if (category is null || !Category().IsMatch(category))
            query.Refuse("category", "Must be a log category, such as Chat.Socket or Npgsql, or Default.");
        else if (category.Equals(LevelOverrides.Audit, StringComparison.OrdinalIgnoreCase))
            query.Refuse("category", "The audit log's level cannot be changed.");
        if (level is null)
            query.Refuse("level", $"Must be one of {string.Join(", ", Enum.GetNames<LogLevel>()).ToLowerInvariant()}.");
        if (query.Refusal is { } refusal)
            return refusal;
        if (overrides.TrySet(category!, level!.Value, duration, () => audit.LogLevelExpired(category!)) is not { } set)
            return ChatError.LimitReached("category", "Too many levels are set; reset some first.").ToProblem();
        var (from, until) = (http.OperatorAddress(), Until(set));
        audit.LogLevelSet(from, set.Category, set.Level, until);
        return Levels();
    }

    private IResult Reset(HttpContext http)
    {
        var query = new AdminQuery(http, "category");
        if (query.Refusal is { } refusal)
            return refusal;
        var names = query.Text("category") is { } category ? [category] : overrides.All.Select(item => item.Category).ToArray();
        var reset = names.Where(overrides.TryReset).ToArray();
        foreach (var name in reset)
            audit.LogLevelReset(http.OperatorAddress(), name);
        return reset.Length == 0 && query.Text("category") is not null
            ? ChatError.NotFound("No level is set for this category.").ToProblem() : Levels();
    }

    private JsonHttpResult<LogLevelsView> Levels()
    {
        var configured = configuration.GetSection("Logging").GetSection("LogLevel").GetChildren().Where(level => level.Value is not null)
            .ToDictionary(level => level.Key, level => level.Value!);
        return TypedResults.Json(
            new LogLevelsView(configured, [.. overrides.All.Select(item => new LogLevelView(item.Category, $"{item.Level}", item.Until))]),
            AdminJson.Wire.LogLevelsView);
    }

    private static string Until(LevelOverride set) => set.Until is { } end ? $"until {end:yyyy-MM-dd'T'HH:mm:ss'Z'}" : "until it is reset";

    [GeneratedRegex(@"^[A-Za-z][A-Za-z0-9_.]{0,199}$")]
    private static partial Regex Category();
}

/// <summary>The response of all three.</summary>
/// <param name="Configured">The configured levels, by category.</param>
/// <param name="Set">The levels set at run time, which take precedence.</param>
internal sealed record LogLevelsView(IReadOnlyDictionary<string, string> Configured, IReadOnlyList<LogLevelView> Set);

/// <summary>A level set at run time.</summary>
/// <param name="Category">The log category.</param>
/// <param name="Level">The minimum level that is logged.</param>
/// <param name="Until">When it expires; null if it does not.</param>
internal sealed record LogLevelView(string Category, string Level, DateTimeOffset? Until);
