using Chat.Json;
using Chat.RateLimiting;
using Chat.Slices;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tokens;
using Marten;
using Npgsql;

namespace Chat.Features;

/// <summary>
/// Warms up the message path, so that the first message is as fast as any other. Before the server listens, it runs
/// <see cref="WarmUp.Iterations"/> messages through socket, dispatcher, log and delivery. Users and conversations are made up, and
/// all writes are rolled back or deleted: nothing remains and nobody is notified.
/// </summary>
public sealed class WarmUpSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice.AddHostedService<WarmUp>();
}

/// <summary>Runs once at startup. A failure makes the first requests slower and is otherwise harmless.</summary>
internal sealed partial class WarmUp(
    IDocumentStore store,
    [FromKeyedServices(ConversationLog.Connections)] NpgsqlDataSource database,
    ConversationLog conversationLog,
    ConversationViews views,
    Delivery delivery,
    Hub hub,
    Admission admission,
    SocketDispatcher dispatcher,
    IssuerKeys keys,
    TokenValidator tokens,
    Limits limits,
    ServerMetrics metrics,
    TimeProvider time,
    ILogger<WarmUp> log) : IHostedService
{
    /// <summary>Npgsql prepares a statement on its fifth use, and the JIT optimizes a method after its thirtieth call.</summary>
    public const int Iterations = 30;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>The number of completed iterations.</summary>
    public int Runs { get; private set; }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        try
        {
            await LoadKeysAsync();
            while (Runs < Iterations)
            {
                await RunAsync().WaitAsync(Timeout, time, cancellationToken);
                Runs++;
            }

            Warm(time.GetElapsedTime(startedAt).TotalMilliseconds);
        }
#pragma warning disable CA1031 // No failure is a reason not to serve.
        catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
#pragma warning restore CA1031
        {
            Cold(failure);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task LoadKeysAsync()
    {
        if (!await keys.FetchAsync())
            NoKeys(keys.Reason ?? "no answer");
        // An invalid token: runs the token library up to the rejection.
        else
            await tokens.ValidateAsync("e30.e30.");
    }

    private async Task RunAsync()
    {
        var (alice, bob, conversation) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        using var pair = await LoopbackWebSocket.OpenAsync();
        using var slot = admission.TryEnter(System.Net.IPAddress.None, hasToken: true)!;
        var connection = pair.Accept(limits, metrics, time, slot);
        connection.TrySignIn(
            new TokenReadResult(new Identity(alice, null, null, null), DateTimeOffset.MaxValue, DateTimeOffset.MaxValue, null));
        await delivery.OnOpeningAsync(connection);
        hub.Join(connection);
        try
        {
            var running = connection.RunAsync(dispatcher);
            // Rejected, because the conversation does not exist: takes a frame through the dispatcher and back.
            await pair.SendAsync(Frame.Of(new SendMessage(conversation, "warm-up", "warm-up", null, null, null), "1"));
            await pair.ReceiveAsync();
            await StoreAndDeliverAsync(connection, bob, conversation);
            connection.Send(new NotificationUnread(conversation, 1, 1));
            await pair.ReceiveAsync();
            await views.PageAsync(alice, 1, default);
            pair.Abort();
            await running;
        }
        finally
        {
            hub.Remove(connection);
            await delivery.OnClosedAsync(connection);
        }
    }

    private async Task StoreAndDeliverAsync(Connection connection, Guid bob, Guid conversation)
    {
        var alice = connection.User.Id;
        await using var rehearsal = await database.OpenConnectionAsync();
        await using var transaction = await rehearsal.BeginTransactionAsync();
        await using var session = store.LightweightSession(Marten.Services.SessionOptions.ForTransaction(transaction));
        session.Store(new User { Id = alice }, new User { Id = bob });
        Conversations.Start(session, conversation, new ConversationStarted(ConversationKind.Direct, [alice, bob], time.GetWireNow()));
        await session.SaveChangesAsync();
        var stored = (await session.LoadAsync<Conversation>(conversation))!;
        var draft = new SendMessage(conversation, "warm-up", "warm-up", null, null, null).Draft(alice, stored);
        await conversationLog.WarmUpAsync(
            rehearsal,
            draft,
            message => delivery.Committed(
                new Change(message), stored.Members, new PendingReply(connection, message.Id, change => change.Answer<MessageSent>("2"))));
        await transaction.RollbackAsync();

        // What the external transaction does not cover: the log's own loop and session, and a commit.
        await conversationLog.AppendAsync(draft, _ => { });
        await using var cleanup = store.LightweightSession();
        await cleanup.BeginTransactionAsync(CancellationToken.None);
        cleanup.Delete<Message>(draft.Id);
        await cleanup.SaveChangesAsync();
    }

    [LoggerMessage(330, LogLevel.Information, "Warm-up completed in {Milliseconds:0} ms")]
    private partial void Warm(double milliseconds);

    [LoggerMessage(
        331, LogLevel.Warning, "The signing keys of Jwt__Authority are not loaded; all tokens are rejected until they are ({Reason})")]
    private partial void NoKeys(string reason);

    [LoggerMessage(332, LogLevel.Warning, "Warm-up failed; the first messages will be slower")]
    private partial void Cold(Exception failure);
}
