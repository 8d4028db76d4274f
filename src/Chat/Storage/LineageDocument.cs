namespace Chat.Storage;

/// <summary>The single document that holds the database's epoch.</summary>
internal sealed record LineageDocument
{
    public static readonly Guid TheOne = new("6c696e65-6167-8000-8000-000000000001");

    public Guid Id { get; init; } = TheOne;

    public required Guid Epoch { get; init; }

    /// <summary>Where it was written; see <see cref="DatabaseEpoch"/>. Null if older than this field, or not permitted to ask.</summary>
    public string? Origin { get; init; }
}
