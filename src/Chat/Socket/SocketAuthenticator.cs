using Chat.RateLimiting;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tokens;

namespace Chat.Socket;

/// <summary>Authenticates connections, however their token was sent, and renews the token of a live connection.</summary>
internal sealed class SocketAuthenticator(
    TokenValidator tokens,
    Hub hub,
    IEnumerable<IIdentityObserver> identityObservers,
    IEnumerable<IConnectionObserver> connectionObservers,
    SignInLimiter signIns,
    DatabaseEpoch epoch,
    AuditLog audit,
    Limits limits,
    TimeProvider time) : IHandler<Authenticate>, IDisposable
{
    /// <summary>
    /// The maximum number of concurrent sign-ins; others wait. Each one queries the database and Redis, and when thousands
    /// reconnect at once, running all of them together would make all of them too late. At most
    /// <see cref="SignInLimiter.MaxPerUser"/> of these belong to one user.
    /// </summary>
    internal const int MaxConcurrency = 32;

    private readonly SemaphoreSlim semaphore = new(MaxConcurrency);

    public async ValueTask<ChatError?> HandleAsync(Authenticate received, EventContext context)
    {
        await AuthenticateAsync(received.Token ?? "", context.Connection, context.Id);
        return null;
    }

    /// <summary>
    /// Answers a token with <c>auth_success</c>, or with <c>auth_failed</c> and close 4501. If the token cannot be validated
    /// yet, the client is not refused but told to try again later (1013).
    /// </summary>
    public async ValueTask AuthenticateAsync(string token, Connection connection, string? id)
    {
        // Set before validation, which may take a while: the authentication timeout is for clients without a token.
        connection.HasPresentedToken = true;
        var result = await tokens.ValidateAsync(token);
        if (result.Identity is not { } identity)
        {
            if (result.Refusal is { } refusal)
                Refuse(
                    connection, id, refusal, refusal.Reason == RefusalReason.Expired ? "The token has expired." : "The token is invalid.");
            else
                connection.Close(Disconnect.IssuerUnavailable);
            return;
        }

        if (connection.IsAuthenticated)
        {
            if (connection.User.Id != identity.Id)
            {
                Refuse(connection, id, new TokenRefusal(RefusalReason.AnotherUsers, "-", "-"), "The token belongs to another user.");
                return;
            }

            connection.Renew(result);
            connection.Send(Frame.Of(Success(connection), id));
            return;
        }

        // Before the wait, which must not count against the authentication timeout.
        if (!connection.TrySignIn(result))
        {
            connection.Close(Disconnect.TooManyConnections);
            return;
        }

        // The user's own limit first: one who waits for it must not hold a permit that others need.
        var permit = (await signIns.AcquireAsync(identity.Id))!;
        await semaphore.WaitAsync();
        var startedAt = time.GetTimestamp();
        try
        {
            foreach (var observer in identityObservers)
                await observer.OnSignedInAsync(identity);
            await OpenAsync(connection, id);
            audit.SignedIn(identity.Id, connection.Id, connection.Address);
        }
        catch
        {
            // Authenticated but not joined: the connection would look alive and receive nothing.
            connection.Abort();
            throw;
        }
        finally
        {
            semaphore.Release();
            _ = signIns.ReleaseAfterCooldownAsync(permit, time.GetElapsedTime(startedAt));
        }
    }

    /// <summary>Removes a connection from the hub and notifies the observers.</summary>
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

        // Atomic: auth_success precedes every live event, and no live event is lost between the two.
        connection.SendThenJoin(Frame.Of(Success(connection), id), () => hub.Join(connection));
        // A revocation closes the joined connections; one that came after the token was validated would miss this connection.
        if (tokens.IsRevoked(connection.Token!))
            connection.Close(Disconnect.NotAuthorised);
        foreach (var observer in connectionObservers)
            await observer.OnOpenedAsync(connection);
    }

    private void Refuse(Connection connection, string? id, TokenRefusal refusal, string message)
    {
        audit.SignInRefused($"{refusal.Fault}", connection.Id, $"{connection.Address}", $"{refusal.Reason}", refusal.Issuer, refusal.KeyId);
        connection.Send(Frame.Of(new AuthFailed(refusal.Fault, message), id));
        connection.Close(Disconnect.NotAuthorised);
    }

    private AuthSuccess Success(Connection connection) => new(
        connection.User.Id,
        connection.Id,
        connection.ConnectedAt,
        epoch.Epoch,
        new AuthSuccess.HeartbeatTimes((int)limits.PingInterval.TotalSeconds, (int)limits.PingTimeout.TotalSeconds),
        new AuthSuccess.ClientLimits(limits.MaxFrameBytes, limits.MaxContentLength,
        Math.Min(limits.MessagesPerSecond, limits.MessagesPerSecondPerUser), limits.SendQueueEvents));
}
