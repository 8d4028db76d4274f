using System.Globalization;

namespace Chat.Storage;

/// <summary>Which transactions a statement could see: PostgreSQL's <c>pg_snapshot</c>.</summary>
/// <param name="Xmax">All transactions from this one on had not ended.</param>
/// <param name="InProgress">Earlier transactions that had not ended.</param>
internal sealed record DatabaseSnapshot(ulong Xmax, IReadOnlyList<ulong> InProgress)
{
    /// <summary>Parses the text form <c>xmin:xmax:xip,xip…</c>.</summary>
    public static DatabaseSnapshot Parse(string text)
    {
        var parts = text.Split(':');
        return new(
            ulong.Parse(parts[1], CultureInfo.InvariantCulture),
            [.. parts[2].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(id => ulong.Parse(id, CultureInfo.InvariantCulture))]);
    }

    /// <summary>Returns whether the statement saw the effects of a transaction that has committed.</summary>
    public bool Includes(ulong transaction) => transaction < Xmax && !InProgress.Contains(transaction);
}
