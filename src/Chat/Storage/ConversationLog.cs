using System.Diagnostics;
using System.Threading.Channels;
using Chat.Hosting;
using Chat.Json;
using Chat.RateLimiting;
using Chat.Telemetry;
using Npgsql;

namespace Chat.Storage;

/// <summary>
/// The heart of the server: gives every message its number and commits it. Each shard of conversations has one
/// bounded queue and one loop, which takes whatever waits and makes one transaction of it (<see cref="AppendFunction"/>):
/// it locks the heads of the batch's conversations in id order (so that the batches of several nodes cannot deadlock),
/// numbers the drafts, inserts them and commits; what is there already is found by its id. No timer delays anybody: a
/// batch is what piled up during the last commit.
/// </summary>
/// <remarks>
/// The lock on a conversation's head is held from before the look for repeats, or the insert that a repeat fails, until
/// the commit, and a repeat is always one in the same conversation. So either is exact, on any number of nodes.
/// </remarks>
internal sealed partial class ConversationLog : IHostedService
{
    /// <summary>The key of the data source that is the log's own.</summary>
    public const string Connections = "log";

    /// <summary>One for each loop, and one more for each whose last transaction was given up and is still being broken off.</summary>
    public const int MaxConnections = 2 * Shards;

    private const int Shards = 2;
    private const int MaxBatch = 256;

    /// <summary>Every send is answered within 5 s, also if the database hangs; what comes before the log has the rest.</summary>
    private static readonly TimeSpan AnswerDeadline = TimeSpan.FromSeconds(3);

    /// <summary>A message that has waited for so long is not tried any more.</summary>
    private static readonly TimeSpan RetryDeadline = TimeSpan.FromSeconds(2);

    /// <summary>
    /// For so long after something was not to be stored, all is looked at before it is inserted. A client that goes on with
    /// its repeats spoils one batch a second, and the rest costs what it would have cost with the look.
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

    /// <summary>Made once a node; <see cref="StartAsync"/> starts its loops.</summary>
    public ConversationLog([FromKeyedServices(Connections)] NpgsqlDataSource database, TableNames tables, Limits limits, ServerMetrics metrics, DependencyStates dependencies, TimeProvider time, ILogger<ConversationLog> log)
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
    /// Called after the commit of a new message and before the answer, on the loop, in the order of the numbers: what
    /// it enqueues, everybody gets in this order. Must not wait and must not throw.
    /// </param>
    public Task<Appended> AppendAsync(MessageDraft draft, Action<Message> committed)
    {
        var entry = new Entry(draft, committed, time.GetTimestamp());
        var queue = queues[(uint)draft.ConversationId.GetHashCode() % Shards];
        if (!queue.Writer.TryWrite(entry))
        {
            metrics.LimitHit(nameof(Limits.LogQueue));
            metrics.SendsUnavailable(1);
            postgres.Failed("does not keep up: Limits:LogQueue messages wait already", refusedSends: 1);
            entry.Answer(AppendOutcome.Unavailable);
        }

        return entry.Answered;
    }

    /// <summary>
    /// Goes through the motions of an append, <paramref name="committed"/> included, in a transaction that is the
    /// caller's to roll back.
    /// </summary>
    internal Task WarmUpAsync(NpgsqlConnection connection, MessageDraft draft, Action<Message> committed) =>
        TransactAsync(connection, [new Entry(draft, committed, time.GetTimestamp())], isLikelyNew: true, isSecondTry: false, CancellationToken.None);

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        running = Task.WhenAll(queues.Select(queue => Task.Run(() => RunAsync(queue.Reader), CancellationToken.None)));
        return Task.CompletedTask;
    }

    /// <summary>Commits what waits, and ends.</summary>
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
            // A list of its own: a transaction that was given up still has the last one.
            var batch = new List<Entry>();
            while (batch.Count < MaxBatch && queue.TryRead(out var entry))
                batch.Add(entry);
            await CommitAsync(batch);
        }
    }

    private async Task CommitAsync(IReadOnlyList<Entry> waiting, bool isSecondTry = false)
    {
        var batch = ExpireStale(waiting);
        if (batch.Count == 0)
            return;
        var patience = AnswerDeadline - AgeOf(batch[0]);
        try
        {
            // Breaking off takes seconds of its own if the network swallows everything: nobody waits for that.
            await TransactAsync(batch, isSecondTry, patience).WaitAsync(patience, time);
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure) || failure is OperationCanceledException)
        {
            if (isSecondTry || AgeOf(batch[0]) >= RetryDeadline)
                RefuseAll(batch, DatabaseFailure.ReasonOf(failure), DatabaseFailure.IsRefusal(failure));
            else
                // A connection that broke may have broken behind the commit. The second look settles that: what the
                // first try stored is found by its id. No third try: the senders are waiting, and repeat by themselves.
                await CommitAsync(batch, isSecondTry: true);
        }
#pragma warning disable CA1031 // One bad item must not take the loop, or the rest of its batch, with it.
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
                await CommitAsync([entry], isSecondTry);
        }
    }

    // Behind a database that hangs a queue piles up, and none of it may wait for its turn to hang: what could no
    // longer be answered in time is refused untried.
    private IReadOnlyList<Entry> ExpireStale(IReadOnlyList<Entry> batch)
    {
        if (AgeOf(batch[0]) < RetryDeadline)
            return batch;
        RefuseAll([.. batch.Where(entry => AgeOf(entry) >= RetryDeadline)], "the commit before took too long", isRefusal: false);
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

    private async Task TransactAsync(IReadOnlyList<Entry> batch, bool isSecondTry, TimeSpan patience)
    {
        using var end = new CancellationTokenSource(patience, time);
        using var span = Tracing.Batch(batch.Select(entry => entry.Sent));
        var began = time.GetTimestamp();
        await using var connection = await database.OpenConnectionAsync(end.Token);
        var isLikelyNew = !isSecondTry && time.GetElapsedTime(Volatile.Read(ref rejectedAt)) > PessimisticFor;
        var (stored, repeated) = await TransactAsync(connection, batch, isLikelyNew, isSecondTry, end.Token);
        metrics.Committed(batch.Count, stored, repeated, time.GetElapsedTime(began));
        postgres.Succeeded();
    }

    /// <returns>How many of the batch are stored now, and how many were there already.</returns>
    private async Task<(int Stored, int Repeated)> TransactAsync(
        NpgsqlConnection connection, IReadOnlyList<Entry> batch, bool isLikelyNew, bool isSecondTry, CancellationToken patience)
    {
        // A draft may be there more than once: its sender repeated it while the first try was still waiting.
        var places = new Dictionary<Guid, int>(batch.Count);
        var candidates = new List<AppendCandidate>(batch.Count);
        foreach (var entry in batch)
        {
            if (places.TryAdd(entry.Draft.Id, candidates.Count))
                candidates.Add(new AppendCandidate(Unnumbered(entry.Draft), entry.Draft.Blocks));
        }

        var outcomes = await AppendFunction.CallAsync(connection, tables, candidates, isLikelyNew, patience);
        if (outcomes.Any(outcome => outcome.Outcome != AppendOutcome.Stored))
            Volatile.Write(ref rejectedAt, time.GetTimestamp());
        if (isSecondTry)
        {
            // What the first try has stored, nobody has been told yet.
            foreach (ref var outcome in outcomes.AsSpan())
                outcome = outcome.Outcome == AppendOutcome.Repeated ? outcome with { Outcome = AppendOutcome.Stored } : outcome;
        }

        foreach (var entry in batch)
            Failpoint.Reach(Failpoint.AfterCommit, entry.Draft.Content);

        var (stored, repeated) = (0, 0);
        foreach (var entry in batch)
        {
            ref var outcome = ref outcomes[places[entry.Draft.Id]];
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

    [LoggerMessage(210, LogLevel.Warning, "A batch of {Count} messages failed and is tried one by one ({Reason})")]
    private partial void BatchSplit(int count, string reason);

    [LoggerMessage(211, LogLevel.Error, "A message could not be stored (conversation {ConversationId})")]
    private partial void ItemFailed(Exception failure, Guid conversationId);

    private sealed class Entry(MessageDraft draft, Action<Message> committed, long since)
    {
        private readonly TaskCompletionSource<Appended> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int isAnswered;

        public MessageDraft Draft => draft;

        /// <summary>When it came.</summary>
        public long Since => since;

        /// <summary>The span of the send, if somebody follows it.</summary>
        public Activity? Sent { get; } = Tracing.CurrentContext;

        public Task<Appended> Answered => answer.Task;

        /// <summary>Only the first answer counts: a transaction that was given up may still come to its end.</summary>
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
