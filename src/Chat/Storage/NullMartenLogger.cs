using Marten;
using Marten.Services;
using Npgsql;

namespace Chat.Storage;

/// <summary>
/// Stands in for Marten's own log of statements, which writes their parameters, and so what people say: at Debug those
/// of every statement, and at Error those of one that failed. Npgsql logs statements too, without parameters, and a
/// failure is logged where it is handled; nothing of use is lost.
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
