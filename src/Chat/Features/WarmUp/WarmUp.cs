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
/// Makes the first message as quick as any other. Before the server listens, it goes through the real message path a
/// few times: socket, dispatcher, log, delivery, socket. All that this writes is in transactions that are rolled back,
/// about people and conversations that do not exist: it leaves nothing behind, and nobody hears of it.
/// </summary>
public sealed class WarmUpSlice : ISlice
{
    /// <inheritdoc/>
    public static void Register(SliceBuilder slice) => slice.AddHostedService<WarmUp>();
}

/// <summary>Runs once, at the start. A rehearsal that fails costs the first user some time, and the server nothing.</summary>
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
    /// <summary>The fifth use of a statement prepares it, and the thirtieth call of a method has it optimized.</summary>
    public const int Iterations = 30;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <summary>How many rehearsals went through to their end.</summary>
    public int Runs { get; private set; }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        try
        {
            await LoadKeysAsync();
            while (Runs < Iterations)
            {
                await RunAsync().WaitAsync(Timeout, time, cancellationToken);
                Runs++;
            }

            Warm(time.GetElapsedTime(began).TotalMilliseconds);
        }
#pragma warning disable CA1031 // Whatever it was, it is no reason not to serve.
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
        // A token of nobody's: the way through the library, up to its refusal.
        else
            await tokens.ValidateAsync("e30.e30.");
    }

    private async Task RunAsync()
    {
        var (alice, bob, conversation) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        using var pair = await LoopbackWebSocket.OpenAsync();
        using var place = admission.TryEnter(System.Net.IPAddress.None, hasToken: true)!;
        var connection = pair.Accept(limits, metrics, time, place);
        connection.TrySignIn(new TokenReadResult(new Identity(alice, null, null, null), DateTimeOffset.MaxValue, DateTimeOffset.MaxValue, null));
        await delivery.OnOpeningAsync(connection);
        hub.Join(connection);
        try
        {
            var running = connection.RunAsync(dispatcher);
            // Refused, since there is no such conversation: the way of a frame through the dispatcher and back.
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
            message => delivery.Committed(new Change(message), stored.Members, new PendingReply(connection, message.Id, change => change.Answer<MessageSent>("2"))));
        await transaction.RollbackAsync();

        // What a transaction of somebody else's does not go through: the log's own loop and session, and a commit.
        await conversationLog.AppendAsync(draft, _ => { });
        await using var own = store.LightweightSession();
        await own.BeginTransactionAsync(CancellationToken.None);
        own.Delete<Message>(draft.Id);
        await own.SaveChangesAsync();
    }

    [LoggerMessage(330, LogLevel.Information, "Warm after {Milliseconds:0} ms")]
    private partial void Warm(double milliseconds);

    [LoggerMessage(331, LogLevel.Warning, "Jwt__Authority does not give its keys yet; until it does, nobody is let in ({Reason})")]
    private partial void NoKeys(string reason);

    [LoggerMessage(332, LogLevel.Warning, "The warm-up did not get to its end: the first messages will be slower")]
    private partial void Cold(Exception failure);
}
