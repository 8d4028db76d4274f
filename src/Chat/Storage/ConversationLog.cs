using System.Diagnostics;
using System.Threading.Channels;
using Marten;

namespace Chat.Storage;

/// <summary>A message on its way into the log: all but what the conversation gives it.</summary>
/// <param name="Id">See <see cref="Message.Id"/>; what makes a repeat a repeat.</param>
/// <param name="ConversationId">Where it is said.</param>
/// <param name="SenderId">Who says it.</param>
/// <param name="Type">See <see cref="Message.Type"/>.</param>
/// <param name="Content">See <see cref="Message.Content"/>.</param>
/// <param name="TempId">See <see cref="Message.TempId"/>.</param>
/// <param name="Blocks">Ids of <see cref="Block"/>s, any one of which refuses the message.</param>
public sealed record MessageDraft(
    Guid Id, Guid ConversationId, Guid SenderId, string Type, string Content, string? TempId, IReadOnlyList<Guid> Blocks);

/// <summary>What became of a draft.</summary>
public enum AppendOutcome
{
    /// <summary>It is committed, under the next number of its conversation.</summary>
    Stored,

    /// <summary>It was there already: the message of the first time comes back, and nobody is told again.</summary>
    Repeated,

    /// <summary>A block was in force. Nothing was stored.</summary>
    Blocked,

    /// <summary>There is no such conversation. Nothing was stored.</summary>
    NoConversation,

    /// <summary>The database is away, or the queue is full. To be repeated under the same tempId.</summary>
    Unavailable,
}

/// <summary>The answer to an append.</summary>
/// <param name="Outcome">What became of the draft.</param>
/// <param name="Message">The message, if it is stored.</param>
public readonly record struct Appended(AppendOutcome Outcome, Message? Message);

/// <summary>
/// The heart of the server: gives every message its number and commits it. Each shard of conversations has one
/// bounded queue and one loop, which takes whatever waits and makes one transaction of it: it locks the heads of the
/// batch's conversations in id order (so that the batches of several nodes cannot deadlock), looks which drafts are
/// there already, numbers the others, inserts them and commits. No timer delays anybody: a batch is what piled up
/// during the last commit.
/// </summary>
/// <remarks>
/// The lock on a conversation's head is held from before the look for repeats until the commit, and a repeat is
/// always one in the same conversation. So the look is exact, on any number of nodes, and the unique keys below it
/// are there only to prove that.
/// </remarks>
public sealed partial class ConversationLog : IHostedService
{
    private const int Shards = 2;
    private const int MaxBatch = 256;

    /// <summary>Every send is answered within 5 s, also if the database hangs; the rest of them is for breaking off.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(4);

    /// <summary>A message that has waited for so long is not tried any more.</summary>
    private static readonly TimeSpan LatestTry = TimeSpan.FromSeconds(3);

    private readonly IDocumentStore store;
    private readonly ServerMetrics metrics;
    private readonly TimeProvider time;
    private readonly ILogger<ConversationLog> log;
    private readonly Channel<Entry>[] queues;
    private Task running = Task.CompletedTask;

    /// <summary>Made once a node; <see cref="StartAsync"/> starts its loops.</summary>
    public ConversationLog(IDocumentStore store, Limits limits, ServerMetrics metrics, TimeProvider time, ILogger<ConversationLog> log)
    {
        this.store = store;
        this.metrics = metrics;
        this.time = time;
        this.log = log;
        var bound = new BoundedChannelOptions(limits.LogQueue) { SingleReader = true };
        queues = [.. Enumerable.Range(0, Shards).Select(_ => Channel.CreateBounded<Entry>(bound))];
        metrics.WatchLog(() => queues.Sum(queue => queue.Reader.Count));
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
            metrics.Unavailable(1);
            entry.Answer(AppendOutcome.Unavailable);
        }

        return entry.Answered;
    }

    /// <summary>
    /// Goes through the motions of an append, <paramref name="committed"/> included, in a session whose transaction is
    /// the caller's to roll back.
    /// </summary>
    internal Task RehearseAsync(IDocumentSession session, MessageDraft draft, Action<Message> committed) =>
        TransactAsync(session, [new Entry(draft, committed, time.GetTimestamp())], CancellationToken.None);

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
        var batch = new List<Entry>(MaxBatch);
        while (await queue.WaitToReadAsync())
        {
            batch.Clear();
            while (batch.Count < MaxBatch && queue.TryRead(out var entry))
                batch.Add(entry);
            await CommitAsync(batch);
        }
    }

    private async Task CommitAsync(IReadOnlyList<Entry> waiting, bool isSecondTry = false)
    {
        var batch = LeaveOutStale(waiting);
        if (batch.Count == 0)
            return;
        using var patience = new CancellationTokenSource(LongestWait - AgeOf(batch[0]), time);
        try
        {
            await TransactAsync(batch, patience.Token);
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure) || patience.IsCancellationRequested)
        {
            if (isSecondTry || patience.IsCancellationRequested)
                RefuseAll(batch, failure.Message);
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
                await CommitAsync([entry]);
        }
    }

    // Behind a database that hangs a queue piles up, and none of it may wait for its turn to hang: what could no
    // longer be answered in time is refused untried.
    private IReadOnlyList<Entry> LeaveOutStale(IReadOnlyList<Entry> batch)
    {
        if (AgeOf(batch[0]) < LatestTry)
            return batch;
        RefuseAll([.. batch.Where(entry => AgeOf(entry) >= LatestTry)], "the one before took too long");
        return [.. batch.Where(entry => !entry.Answered.IsCompleted)];
    }

    private void RefuseAll(IReadOnlyList<Entry> batch, string reason)
    {
        DatabaseAway(batch.Count, reason);
        metrics.Unavailable(batch.Count);
        foreach (var entry in batch)
            entry.Answer(AppendOutcome.Unavailable);
    }

    private TimeSpan AgeOf(Entry entry) => time.GetElapsedTime(entry.Since);

    private async Task TransactAsync(IReadOnlyList<Entry> batch, CancellationToken patience)
    {
        // With a patience of its own: to break a slow commit off sooner, and do it again, would only make it slower.
        await using var session = store.LightweightSession(new Marten.Services.SessionOptions { Timeout = (int)LongestWait.TotalSeconds });
        using var span = Tracing.Batch(batch.Select(entry => entry.Sent));
        var began = time.GetTimestamp();
        await session.BeginTransactionAsync(patience);
        var outcomes = await TransactAsync(session, batch, patience);
        metrics.Committed(
            batch.Count,
            outcomes.Count(one => one.Outcome == AppendOutcome.Stored),
            outcomes.Count(one => one.Outcome == AppendOutcome.Repeated),
            time.GetElapsedTime(began));
    }

    /// <returns>What became of each draft.</returns>
    private async Task<Appended[]> TransactAsync(IDocumentSession session, IReadOnlyList<Entry> batch, CancellationToken patience)
    {
        var (heads, known, blocks) = await LockAndLookAsync(session, batch, patience);

        var outcomes = new Appended[batch.Count];
        var changed = new HashSet<Guid>();
        for (var i = 0; i < batch.Count; i++)
        {
            var draft = batch[i].Draft;
            if (!heads.TryGetValue(draft.ConversationId, out var head))
            {
                outcomes[i] = new Appended(AppendOutcome.NoConversation, null);
                continue;
            }

            if (known.TryGetValue(draft.Id, out var first))
            {
                outcomes[i] = new Appended(batch[i].IsSecondTry ? AppendOutcome.Stored : AppendOutcome.Repeated, first);
                continue;
            }

            if (draft.Blocks.Any(blocks.Contains))
            {
                outcomes[i] = new Appended(AppendOutcome.Blocked, null);
                continue;
            }

            var message = Number(draft, head.Seq + 1);
            heads[head.Id] = head with { Seq = message.Seq, LastMessageId = message.Id, UpdatedAt = message.SentAt };
            changed.Add(head.Id);
            known.Add(message.Id, message);
            session.Insert(message);
            outcomes[i] = new Appended(AppendOutcome.Stored, message);
        }

        foreach (var id in changed)
            session.Update(heads[id]);
        for (var i = 0; i < batch.Count; i++)
            batch[i].IsSecondTry = outcomes[i].Outcome == AppendOutcome.Stored;
        await session.SaveChangesAsync(patience);
        foreach (var entry in batch)
            Failpoint.Reach(Failpoint.AfterCommit, entry.Draft.Content);

        for (var i = 0; i < batch.Count; i++)
            batch[i].Answer(outcomes[i].Outcome, outcomes[i].Message);
        return outcomes;
    }

    private static async Task<(Dictionary<Guid, ConversationHead> Heads, Dictionary<Guid, Message> Known, HashSet<Guid> Blocks)> LockAndLookAsync(
        IDocumentSession session, IReadOnlyList<Entry> batch, CancellationToken patience)
    {
        // One round trip, in this order: the look is good because the locks are held.
        var look = session.CreateBatchQuery();
        var heads = look.Query<ConversationHead>(
            "where id = any(?) order by id for update", batch.Select(entry => entry.Draft.ConversationId).Distinct().ToArray());
        var known = look.Query<Message>("where id = any(?)", batch.Select(entry => entry.Draft.Id).ToArray());
        var blocks = look.Query<Block>("where id = any(?)", batch.SelectMany(entry => entry.Draft.Blocks).Distinct().ToArray());
        await look.Execute(patience);
        return (
            (await heads).ToDictionary(head => head.Id),
            (await known).ToDictionary(message => message.Id),
            (await blocks).Select(block => block.Id).ToHashSet());
    }

    private Message Number(MessageDraft draft, long seq) => new()
    {
        Id = draft.Id,
        ConversationId = draft.ConversationId,
        Seq = seq,
        ChangedSeq = seq,
        SenderId = draft.SenderId,
        Type = draft.Type,
        Content = draft.Content,
        SentAt = time.GetWireNow(),
        TempId = draft.TempId,
    };

    [LoggerMessage(LogLevel.Warning, "The database is away: {Count} messages were answered UNAVAILABLE ({Reason})")]
    private partial void DatabaseAway(int count, string reason);

    [LoggerMessage(LogLevel.Warning, "A batch of {Count} messages failed and is tried one by one ({Reason})")]
    private partial void BatchSplit(int count, string reason);

    [LoggerMessage(LogLevel.Error, "A message could not be stored (conversation {ConversationId})")]
    private partial void ItemFailed(Exception failure, Guid conversationId);

    private sealed class Entry(MessageDraft draft, Action<Message> committed, long since)
    {
        private readonly TaskCompletionSource<Appended> answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public MessageDraft Draft => draft;

        /// <summary>When it came.</summary>
        public long Since => since;

        /// <summary>Whether a commit that may have stored the draft has been tried: then finding it is no repeat.</summary>
        public bool IsSecondTry { get; set; }

        /// <summary>The span of the send, if somebody follows it.</summary>
        public Activity? Sent { get; } = Tracing.Here;

        public Task<Appended> Answered => answer.Task;

        public void Answer(AppendOutcome outcome, Message? message = null)
        {
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
