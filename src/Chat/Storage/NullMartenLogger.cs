using Marten;
using Marten.Services;
using Npgsql;

namespace Chat.Storage;

/// <summary>
/// Replaces Marten's own statement log, which includes parameters, and so message contents: at Debug for every statement,
/// at Error for failed ones. Npgsql logs statements without parameters, and failures are logged where they are handled, so
/// nothing useful is lost.
/// </summary>
internal sealed class NullMartenLogger : IMartenLogger, IMartenSessionLogger
{
    public IMartenSessionLogger StartSession(IQuerySession session) => this;

    public void SchemaChange(string sql)
    {
    }

    public void LogSuccess(NpgsqlCommand command)
    {
    }

    public void LogSuccess(NpgsqlBatch batch)
    {
    }

    public void LogFailure(NpgsqlCommand command, Exception ex)
    {
    }

    public void LogFailure(NpgsqlBatch batch, Exception ex)
    {
    }

    public void LogFailure(Exception ex, string message)
    {
    }

    public void RecordSavedChanges(IDocumentSession session, IChangeSet commit)
    {
    }

    public void OnBeforeExecute(NpgsqlCommand command)
    {
    }

    public void OnBeforeExecute(NpgsqlBatch batch)
    {
    }
}
