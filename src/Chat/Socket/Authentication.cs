using System.Text.Json.Serialization.Metadata;
using Chat.Storage;
using Chat.Tokens;

namespace Chat.Socket;

/// <summary>The event <c>auth</c>: presents a token, as the first frame or in place of one that runs out.</summary>
/// <param name="Token">The JWT.</param>
public sealed record Authenticate(string? Token) : IEvent<Authenticate>
{
    /// <inheritdoc/>
    public static string Name => "auth";

    /// <inheritdoc/>
    public static JsonTypeInfo<Authenticate> Json => ChatJson.Wire.Authenticate;
}

/// <summary>The event <c>auth_success</c>: the first frame of an accepted user. From here on live events arrive.</summary>
/// <param name="UserId">The token's <c>sub</c>.</param>
/// <param name="ConnectionId">Names this connection, for support.</param>
/// <param name="ConnectedAt">When the socket was accepted.</param>
/// <param name="Epoch">The lineage of the database. Another one than last time: drop all numbers and load afresh.</param>
/// <param name="Heartbeat">How often the server pings, and when it gives up.</param>
/// <param name="Limits">What a client must keep within.</param>
public sealed record AuthSuccess(
    Guid UserId,
    Guid ConnectionId,
    DateTimeOffset ConnectedAt,
    Guid Epoch,
    AuthSuccess.Beat Heartbeat,
    AuthSuccess.Bounds Limits) : IEvent<AuthSuccess>
{
    /// <inheritdoc/>
    public static string Name => "auth_success";

    /// <inheritdoc/>
    public static JsonTypeInfo<AuthSuccess> Json => ChatJson.Wire.AuthSuccess;

    /// <summary>Both in seconds.</summary>
    public sealed record Beat(int PingSeconds, int TimeoutSeconds);

    /// <summary>Bytes, Unicode scalar values, sends a second, events.</summary>
    public sealed record Bounds(int MaxFrameBytes, int MaxContentLength, int MessagesPerSecond, int SendQueue);
}

/// <summary>The event <c>auth_failed</c>, after which the connection is closed with 4501.</summary>
/// <param name="Code">For programs.</param>
/// <param name="Message">For developers.</param>
public sealed record AuthFailed(TokenFault Code, string Message) : IEvent<AuthFailed>
{
    /// <inheritdoc/>
    public static string Name => "auth_failed";

    /// <inheritdoc/>
    public static JsonTypeInfo<AuthFailed> Json => ChatJson.Wire.AuthFailed;
}

/// <summary>
/// Follows connections from their acceptance to their end. Called in the order of <c>Slices.cs</c>.
/// </summary>
public interface IConnectionObserver
{
    /// <summary>Before <c>auth_success</c>: what must be in place for the user's live events to arrive.</summary>
    ValueTask OnOpeningAsync(Connection connection) => ValueTask.CompletedTask;

    /// <summary>After <c>auth_success</c>, before the first event of the client is handled.</summary>
    ValueTask OnOpenedAsync(Connection connection) => ValueTask.CompletedTask;

    /// <summary>The connection has left the hub; runs for each one that <see cref="OnOpeningAsync"/> was called for.</summary>
    ValueTask OnClosedAsync(Connection connection) => ValueTask.CompletedTask;
}

/// <summary>
/// Lets users in, whichever of the three ways their token came, and renews the token of a live connection.
/// </summary>
internal sealed class SocketAuthenticator(
    TokenValidator tokens,
    Hub hub,
    IEnumerable<IIdentityObserver> identityObservers,
    IEnumerable<IConnectionObserver> connectionObservers,
    SignInLimiter signIns,
    DatabaseEpoch lineage,
    AuditLog audit,
    Limits limits,
    TimeProvider time) : IHandler<Authenticate>, IDisposable
{
    /// <summary>
    /// Users being let in at the same time; the others wait for their turn. Each one asks the database and Redis several
    /// things, and when thousands come back at once, all of them asking together would all be too late. Of one user there are never
    /// more than <see cref="SignInLimiter.MaxPerUser"/> among them.
    /// </summary>
    internal const int MaxConcurrency = 32;

    private readonly SemaphoreSlim semaphore = new(MaxConcurrency);

    public async ValueTask<ChatError?> HandleAsync(Authenticate received, EventContext context)
    {
        await AuthenticateAsync(received.Token ?? "", context.Connection, context.Id);
        return null;
    }

    /// <summary>
    /// Answers a token with <c>auth_success</c>, or with <c>auth_failed</c> and close 4501. A token that cannot be
    /// checked yet is not called wrong: the client is sent away to come back.
    /// </summary>
    public async ValueTask AuthenticateAsync(string token, Connection connection, string? id)
    {
        // Whatever comes of it, and however long that takes: this is a client with a token.
        connection.HasPresentedToken = true;
        var reading = await tokens.ValidateAsync(token);
        if (reading.Identity is not { } identity)
        {
            if (reading.Refusal is { } refusal)
                Refuse(connection, id, refusal, refusal.Reason == RefusalReason.Expired ? "The token has expired." : "The token is not valid here.");
            else
                connection.Close(Disconnect.IssuerUnavailable);
            return;
        }

        if (connection.IsAuthenticated)
        {
            if (connection.User.Id != identity.Id)
            {
                Refuse(connection, id, new TokenRefusal(RefusalReason.AnotherUsers, "-", "-"), "The token is another user's.");
                return;
            }

            connection.Renew(reading);
            connection.Send(Frame.Of(Success(connection), id));
            return;
        }

        // Before the wait, which is not to count as time without a token.
        if (!connection.TrySignIn(reading))
        {
            connection.Close(Disconnect.TooManyConnections);
            return;
        }

        // The user's turn first: who waits for their own sign-ins keeps no turn of the node's from others.
        var own = (await signIns.AcquireAsync(identity.Id))!;
        await semaphore.WaitAsync();
        var began = time.GetTimestamp();
        try
        {
            foreach (var observer in identityObservers)
                await observer.OnSignedInAsync(identity);
            await OpenAsync(connection, id);
            audit.SignedIn(identity.Id, connection.Id, connection.Address);
        }
        catch
        {
            // Signed in and not joined: a connection that would look alive and get nothing.
            connection.Abort();
            throw;
        }
        finally
        {
            semaphore.Release();
            _ = signIns.ReleaseAfterCooldownAsync(own, time.GetElapsedTime(began));
        }
    }

    /// <summary>Tells the observers that a connection is gone.</summary>
    public async ValueTask OnDisconnectedAsync(Connection connection)
    {
        hub.Remove(connection);
        if (!connection.IsAuthenticated)
            return;
        foreach (var observer in connectionObservers)
            await observer.OnClosedAsync(connection);
    }

    public void Dispose() => semaphore.Dispose();

    private async ValueTask OpenAsync(Connection connection, string? id)
    {
        foreach (var observer in connectionObservers)
            await observer.OnOpeningAsync(connection);

        // auth_success comes before every live event, and no live event falls between the two.
        connection.SendThenJoin(Frame.Of(Success(connection), id), () => hub.Join(connection));
        // A revocation closes what has joined: of one that came since the token was read, this connection would not hear.
        if (tokens.IsRevoked(connection.Token!))
            connection.Close(Disconnect.NotAuthorised);
        foreach (var observer in connectionObservers)
            await observer.OnOpenedAsync(connection);
    }

    private void Refuse(Connection connection, string? id, TokenRefusal refusal, string message)
    {
        audit.SignInRefused($"{refusal.Fault}", connection.Id, $"{connection.Address}", refusal.Reason, refusal.Issuer, refusal.KeyId);
        connection.Send(Frame.Of(new AuthFailed(refusal.Fault, message), id));
        connection.Close(Disconnect.NotAuthorised);
    }

    private AuthSuccess Success(Connection connection) => new(
        connection.User.Id,
        connection.Id,
        connection.ConnectedAt,
        lineage.Epoch,
        new AuthSuccess.Beat((int)limits.PingInterval.TotalSeconds, (int)limits.PingTimeout.TotalSeconds),
        new AuthSuccess.Bounds(limits.MaxFrameBytes, limits.MaxContentLength, Math.Min(limits.MessagesPerSecond, limits.MessagesPerSecondPerUser), limits.SendQueueEvents));
}
