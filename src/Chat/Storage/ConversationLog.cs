using System.Diagnostics;
using System.Threading.Channels;
using Chat.Hosting;
using Chat.Json;
using Chat.RateLimiting;
using Chat.Telemetry;
using Npgsql;

namespace Chat.Storage;

/// <summary>
/// Assigns sequence numbers to messages and commits them. Each shard of conversations has one bounded queue and one loop,
/// which commits whatever is queued as one transaction (<see cref="AppendFunction"/>): it locks the heads of the batch's
/// conversations in id order (so that batches of several nodes cannot deadlock), numbers the drafts, inserts them and
/// commits; duplicates are found by their id. No timer adds latency: a batch is what was queued during the last commit.
/// </summary>
/// <remarks>
/// The lock on a conversation's head is held from before the check for duplicates, or the insert that rejects one, until
/// the commit, and a duplicate always belongs to the same conversation. So both are exact, on any number of nodes.
/// </remarks>
internal sealed partial class ConversationLog : IHostedService
{
    /// <summary>The service key of the log's own data source.</summary>
    public const string Connections = "log";

    /// <summary>One per loop, and one more per loop for an abandoned transaction that is still being cancelled.</summary>
    public const int MaxConnections = 2 * Shards;

    private const int Shards = 2;
    private const int MaxBatch = 256;

    /// <summary>Every message is answered within 5 s, even if the database hangs; the steps before the log get the rest.</summary>
    private static readonly TimeSpan AnswerDeadline = TimeSpan.FromSeconds(3);

    /// <summary>A message queued longer than this is rejected without an attempt.</summary>
    private static readonly TimeSpan RetryDeadline = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long to use the pessimistic path after a rejected append. A client that keeps sending duplicates spoils one batch a
    /// second; the others cost what the pessimistic path costs anyway.
    /// </summary>
    private static readonly TimeSpan PessimisticFor = TimeSpan.FromSeconds(1);

    private readonly NpgsqlDataSource database;
    private readonly TableNames tables;
    private readonly ServerMetrics metrics;
    private readonly DependencyState postgres;
    private readonly TimeProvider time;
    private readonly ILogger<ConversationLog> log;
    private readonly Channel<Entry>[] queues;
    private Task running = Task.CompletedTask;
    private long rejectedAt;

    /// <summary>Creates the node's log; <see cref="StartAsync"/> starts its loops.</summary>
    public ConversationLog([FromKeyedServices(Connections)] NpgsqlDataSource database, TableNames tables, Limits limits,
        ServerMetrics metrics, DependencyStates dependencies, TimeProvider time, ILogger<ConversationLog> log)
    {
        this.database = database;
        this.tables = tables;
        this.metrics = metrics;
        postgres = dependencies.Postgres;
        this.time = time;
        this.log = log;
        var bound = new BoundedChannelOptions(limits.LogQueue) { SingleReader = true };
        queues = [.. Enumerable.Range(0, Shards).Select(_ => Channel.CreateBounded<Entry>(bound))];
        metrics.ObserveLogQueue(() => queues.Sum(queue => queue.Reader.Count));
    }

    /// <summary>Appends a message to its conversation.</summary>
    /// <param name="draft">The message. Its sender's membership has been checked.</param>
    /// <param name="committed">
    /// Called on the loop after a new message was committed and before the task completes, in the order of the sequence
    /// numbers, so that what it enqueues is delivered in this order. Must neither block nor throw.
    /// </param>
    public Task<Appended> AppendAsync(MessageDraft draft, Action<Message> committed)
    {
        var entry = new Entry(draft, committed, time.GetTimestamp());
        var queue = queues[(uint)draft.ConversationId.GetHashCode() % Shards];
        if (!queue.Writer.TryWrite(entry))
        {
            metrics.LimitHit(nameof(Limits.LogQueue));
            metrics.SendsUnavailable(1);
            postgres.Failed("overloaded: Limits:LogQueue messages are queued", refusedSends: 1);
            entry.Answer(AppendOutcome.Unavailable);
        }

        return entry.Answered;
    }

    /// <summary>
    /// Executes an append, <paramref name="committed"/> included, in a transaction that the caller rolls back.
    /// </summary>
    internal Task WarmUpAsync(NpgsqlConnection connection, MessageDraft draft, Action<Message> committed) =>
        TransactAsync(
            connection, [new Entry(draft, committed, time.GetTimestamp())], optimistic: true, isRetry: false, CancellationToken.None);

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        running = Task.WhenAll(queues.Select(queue => Task.Run(() => RunAsync(queue.Reader), CancellationToken.None)));
        return Task.CompletedTask;
    }

    /// <summary>Commits the queued messages, and ends the loops.</summary>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        foreach (var queue in queues)
            queue.Writer.TryComplete();
        return running.WaitAsync(cancellationToken);
    }

    private async Task RunAsync(ChannelReader<Entry> queue)
    {
        while (await queue.WaitToReadAsync())
        {
            // A new list: an abandoned transaction may still use the last one.
            var batch = new List<Entry>();
            while (batch.Count < MaxBatch && queue.TryRead(out var entry))
                batch.Add(entry);
            await CommitAsync(batch);
        }
    }

    private async Task CommitAsync(IReadOnlyList<Entry> queued, bool isRetry = false)
    {
        var batch = ExpireStale(queued);
        if (batch.Count == 0)
            return;
        var timeout = AnswerDeadline - AgeOf(batch[0]);
        try
        {
            // Cancelling can take seconds on a black-holed network; do not wait for it.
            await TransactAsync(batch, isRetry, timeout).WaitAsync(timeout, time);
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure) || failure is OperationCanceledException)
        {
            if (isRetry || AgeOf(batch[0]) >= RetryDeadline)
                RefuseAll(batch, DatabaseFailure.ReasonOf(failure), DatabaseFailure.IsRefusal(failure));
            else
                // The connection may have broken after the commit. The retry finds out: what the first attempt stored is found
                // by its id. There is no second retry: the senders are waiting, and retry by themselves.
                await CommitAsync(batch, isRetry: true);
        }
#pragma warning disable CA1031 // Error boundary: a bad message must end neither the loop nor its batch.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            if (batch.Count == 1)
            {
                ItemFailed(failure, batch[0].Draft.ConversationId);
                batch[0].Fail(failure);
                return;
            }

            BatchSplit(batch.Count, failure.Message);
            foreach (var entry in batch)
                await CommitAsync([entry], isRetry);
        }
    }

    // While the database hangs, the queue grows. A message that can no longer be answered in time is rejected without an
    // attempt, so that the queue does not time out one batch after the other.
    private IReadOnlyList<Entry> ExpireStale(IReadOnlyList<Entry> batch)
    {
        if (AgeOf(batch[0]) < RetryDeadline)
            return batch;
        RefuseAll([.. batch.Where(entry => AgeOf(entry) >= RetryDeadline)], "the previous commit took too long", isRefusal: false);
        return [.. batch.Where(entry => !entry.Answered.IsCompleted)];
    }

    private void RefuseAll(IReadOnlyList<Entry> batch, string reason, bool isRefusal)
    {
        postgres.Failed(reason, isRefusal, refusedSends: batch.Count);
        metrics.SendsUnavailable(batch.Count);
        foreach (var entry in batch)
            entry.Answer(AppendOutcome.Unavailable);
    }

    private TimeSpan AgeOf(Entry entry) => time.GetElapsedTime(entry.Since);

    private async Task TransactAsync(IReadOnlyList<Entry> batch, bool isRetry, TimeSpan timeout)
    {
        using var end = new CancellationTokenSource(timeout, time);
        using var span = Tracing.Batch(batch.Select(entry => entry.Sent));
        var startedAt = time.GetTimestamp();
        await using var connection = await database.OpenConnectionAsync(end.Token);
        var optimistic = !isRetry && time.GetElapsedTime(Volatile.Read(ref rejectedAt)) > PessimisticFor;
        var (stored, repeated) = await TransactAsync(connection, batch, optimistic, isRetry, end.Token);
        metrics.Committed(batch.Count, stored, repeated, time.GetElapsedTime(startedAt));
        postgres.Succeeded();
    }

    /// <returns>The numbers of messages stored now, and of duplicates.</returns>
    private async Task<(int Stored, int Repeated)> TransactAsync(
        NpgsqlConnection connection, IReadOnlyList<Entry> batch, bool optimistic, bool isRetry, CancellationToken timeout)
    {
        // A batch may contain duplicates: the sender retried while the first attempt was still queued.
        var indexes = new Dictionary<Guid, int>(batch.Count);
        var candidates = new List<AppendCandidate>(batch.Count);
        foreach (var entry in batch)
        {
            if (indexes.TryAdd(entry.Draft.Id, candidates.Count))
                candidates.Add(new AppendCandidate(Unnumbered(entry.Draft), entry.Draft.Blocks));
        }

        var outcomes = await AppendFunction.CallAsync(connection, tables, candidates, optimistic, timeout);
        if (outcomes.Any(outcome => outcome.Outcome != AppendOutcome.Stored))
            Volatile.Write(ref rejectedAt, time.GetTimestamp());
        if (isRetry)
        {
            // Messages stored by the first attempt have not been published yet.
            foreach (ref var outcome in outcomes.AsSpan())
                outcome = outcome.Outcome == AppendOutcome.Repeated ? outcome with { Outcome = AppendOutcome.Stored } : outcome;
        }

        foreach (var entry in batch)
            Failpoint.Reach(Failpoint.AfterCommit, entry.Draft.Content);

        var (stored, repeated) = (0, 0);
        foreach (var entry in batch)
        {
            ref var outcome = ref outcomes[indexes[entry.Draft.Id]];
            stored += outcome.Outcome == AppendOutcome.Stored ? 1 : 0;
            repeated += outcome.Outcome == AppendOutcome.Repeated ? 1 : 0;
            entry.Answer(outcome.Outcome, outcome.Message);
            if (outcome.Outcome == AppendOutcome.Stored)
                outcome = outcome with { Outcome = AppendOutcome.Repeated };
        }

        return (stored, repeated);
    }

    private Message Unnumbered(MessageDraft draft) => new()
    {
        Id = draft.Id,
        ConversationId = draft.ConversationId,
        Seq = 0,
        ChangedSeq = 0,
        SenderId = draft.SenderId,
        Type = draft.Type,
        Content = draft.Content,
        SentAt = time.GetWireNow(),
        TempId = draft.TempId,
    };

    [LoggerMessage(210, LogLevel.Warning, "A batch of {Count} messages failed ({Reason}); they are retried one by one")]
    private partial void BatchSplit(int count, string reason);

    [LoggerMessage(211, LogLevel.Error, "A message in conversation {ConversationId} could not be stored")]
    private partial void ItemFailed(Exception failure, Guid conversationId);

    private sealed class Entry(MessageDraft draft, Action<Message> committed, long since)
    {
        private readonly TaskCompletionSource<Appended> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int isAnswered;

        public MessageDraft Draft => draft;

        /// <summary>When it was enqueued.</summary>
        public long Since => since;

        /// <summary>The trace context of the send, if it is traced.</summary>
        public Activity? Sent { get; } = Tracing.CurrentContext;

        public Task<Appended> Answered => answer.Task;

        /// <summary>Completes the append. Only the first call counts: an abandoned transaction may still complete.</summary>
        public void Answer(AppendOutcome outcome, Message? message = null)
        {
            if (Interlocked.Exchange(ref isAnswered, 1) == 1)
                return;
            if (outcome == AppendOutcome.Stored)
            {
                using var span = Tracing.Commit(Sent);
                span?.SetTag("chat.conversation.id", message!.ConversationId).SetTag("chat.message.seq", message.Seq);
                committed(message!);
            }

            answer.TrySetResult(new Appended(outcome, message));
        }

        public void Fail(Exception failure) => answer.TrySetException(failure);
    }
}
