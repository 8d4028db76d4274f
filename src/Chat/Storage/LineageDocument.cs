namespace Chat.Storage;

/// <summary>The one document that names the lineage of a database.</summary>
internal sealed record LineageDocument
{
    public static readonly Guid TheOne = new("6c696e65-6167-8000-8000-000000000001");

    public Guid Id { get; init; } = TheOne;

    public required Guid Epoch { get; init; }

    /// <summary>Where it was written; see <see cref="DatabaseEpoch"/>. Null in one that is older than this field, or where one may not ask.</summary>
    public string? Origin { get; init; }
}
