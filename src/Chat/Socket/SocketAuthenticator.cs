using Chat.RateLimiting;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tokens;

namespace Chat.Socket;

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
        audit.SignInRefused($"{refusal.Fault}", connection.Id, $"{connection.Address}", $"{refusal.Reason}", refusal.Issuer, refusal.KeyId);
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
