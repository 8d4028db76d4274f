using System.Text.RegularExpressions;
using Chat.Rest;
using Chat.Socket;
using Chat.Telemetry;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Chat.Admin;

/// <summary>
/// <c>/log-level</c>: what this node logs, changed while it runs, for a time or until it is taken back. Whatever is set, no token and no
/// content is logged at any level.
/// </summary>
internal sealed partial class LogLevelModule(LevelOverrides overrides, IConfiguration configuration, AuditLog audit) : IAdminModule
{
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromHours(23);

    public void Map(IEndpointRouteBuilder admin)
    {
        admin.MapGet("/log-level", (HttpContext http) => new AdminQuery(http).Refusal ?? Levels()).WithSummary("What is logged.");
        admin.MapPut("/log-level", Set).WithSummary("Changes what is logged. ?category=&level=&for=hours:minutes:seconds");
        admin.MapDelete("/log-level", TakeBack).WithSummary("Back to what is configured. ?category=");
    }

    private IResult Set(HttpContext http)
    {
        var query = new AdminQuery(http, "category", "level", "for");
        var (category, level, lasting) = (query.Text("category"), query.Choice<LogLevel>("level"), query.Time("for", Shortest, Longest));
        if (category is null || !Category().IsMatch(category))
            query.Refuse("category", "It is a category of the log, such as Chat.Socket or Npgsql, or Default.");
        else if (category.Equals(LevelOverrides.Audit, StringComparison.OrdinalIgnoreCase))
            query.Refuse("category", "The audit log keeps the level that is configured.");
        if (level is null)
            query.Refuse("level", $"It is one of {string.Join(", ", Enum.GetNames<LogLevel>()).ToLowerInvariant()}.");
        if (query.Refusal is { } refusal)
            return refusal;
        if (overrides.TrySet(category!, level!.Value, lasting, () => audit.LogLevelExpired(category!)) is not { } set)
            return ChatError.LimitReached("category", "So many levels are set already that no other one may be: take some back.").ToProblem();
        var (from, until) = (http.OperatorAddress(), Until(set));
        audit.LogLevelSet(from, set.Category, set.Level, until);
        return Levels();
    }

    private IResult TakeBack(HttpContext http)
    {
        var query = new AdminQuery(http, "category");
        if (query.Refusal is { } refusal)
            return refusal;
        var names = query.Text("category") is { } category ? [category] : overrides.All.Select(one => one.Category).ToArray();
        var back = names.Where(overrides.TryTakeBack).ToArray();
        foreach (var name in back)
            audit.LogLevelReset(http.OperatorAddress(), name);
        return back.Length == 0 && query.Text("category") is not null ? ChatError.NotFound("No level is set for this category.").ToProblem() : Levels();
    }

    private JsonHttpResult<LogLevelsView> Levels()
    {
        var configured = configuration.GetSection("Logging").GetSection("LogLevel").GetChildren().Where(level => level.Value is not null).ToDictionary(level => level.Key, level => level.Value!);
        return TypedResults.Json(
            new LogLevelsView(configured, [.. overrides.All.Select(one => new LogLevelView(one.Category, $"{one.Level}", one.Until))]), AdminJson.Wire.LogLevelsView);
    }

    private static string Until(LevelOverride set) => set.Until is { } end ? $"until {end:yyyy-MM-dd'T'HH:mm:ss'Z'}" : "until it is taken back";

    [GeneratedRegex(@"^[A-Za-z][A-Za-z0-9_.]{0,199}$")]
    private static partial Regex Category();
}

/// <summary>The answer of all three.</summary>
/// <param name="Configured">What is configured, by category.</param>
/// <param name="Set">What was set by this call or an earlier one, and goes before it.</param>
internal sealed record LogLevelsView(IReadOnlyDictionary<string, string> Configured, IReadOnlyList<LogLevelView> Set);

/// <summary>One level that was set.</summary>
/// <param name="Category">The category of the log.</param>
/// <param name="Level">The least level that is logged.</param>
/// <param name="Until">When it ends by itself; null if it does not.</param>
internal sealed record LogLevelView(string Category, string Level, DateTimeOffset? Until);
