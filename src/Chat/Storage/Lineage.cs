using JasperFx;
using Marten;

namespace Chat.Storage;

/// <summary>The one document that names the lineage of a database; a restored backup gets another epoch.</summary>
internal sealed record LineageDocument
{
    public static readonly Guid TheOne = new("6c696e65-6167-8000-8000-000000000001");

    public Guid Id { get; init; } = TheOne;

    public required Guid Epoch { get; init; }
}

/// <summary>
/// The lineage of the database that this node serves. Clients drop their numbers when they see another epoch,
/// because numbers given after a backup was taken are given once more after it is restored.
/// </summary>
internal sealed class Lineage(IDocumentStore store) : IHostedService
{
    public Guid Epoch { get; private set; }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Epoch = await FindAsync(cancellationToken) ?? await FoundAsync(cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task<Guid?> FindAsync(CancellationToken cancellationToken)
    {
        await using var session = store.QuerySession();
        return (await session.LoadAsync<LineageDocument>(LineageDocument.TheOne, cancellationToken))?.Epoch;
    }

    private async Task<Guid> FoundAsync(CancellationToken cancellationToken)
    {
        var epoch = Guid.CreateVersion7();
        try
        {
            await using var session = store.LightweightSession();
            session.Insert(new LineageDocument { Epoch = epoch });
            await session.SaveChangesAsync(cancellationToken);
            return epoch;
        }
        catch (DocumentAlreadyExistsException)
        {
            // Several nodes start on a new database at once: the first one has named the lineage for all.
            return (await FindAsync(cancellationToken))!.Value;
        }
    }
}
