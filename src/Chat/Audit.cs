namespace Chat;

/// <summary>
/// What a security officer asks for afterwards: who came in, who was refused, who cut off whom. Log category
/// <c>Chat.Audit</c>, level Information, each kind under an event id of its own. Ids only: no token, no name, no text.
/// </summary>
internal sealed partial class Audit(ILogger<Audit> log)
{
    /// <summary>A token was accepted on a connection. Requests over REST show theirs each time and are not told of.</summary>
    [LoggerMessage(1, LogLevel.Information, "Signed in: user {UserId} on connection {ConnectionId}")]
    public partial void SignedIn(Guid userId, Guid connectionId);

    /// <summary>A token was refused on a connection.</summary>
    [LoggerMessage(2, LogLevel.Information, "Sign-in refused: {Fault} on connection {ConnectionId}")]
    public partial void SignInRefused(string fault, Guid connectionId);

    /// <summary>A token was refused over REST. The route is the endpoint's pattern, not what was asked for.</summary>
    [LoggerMessage(3, LogLevel.Information, "Request refused: {Fault} at {Route}")]
    public partial void RequestRefused(string fault, string route);

    /// <summary>Somebody asked for what their token does not allow.</summary>
    [LoggerMessage(4, LogLevel.Warning, "Not allowed: user {UserId} at {Route}")]
    public partial void NotAllowed(string userId, string route);

    /// <summary>A block was added.</summary>
    [LoggerMessage(5, LogLevel.Information, "Blocked: user {UserId} by user {BlockerId}")]
    public partial void Blocked(Guid blockerId, Guid userId);

    /// <summary>A block was removed.</summary>
    [LoggerMessage(6, LogLevel.Information, "Unblocked: user {UserId} by user {BlockerId}")]
    public partial void Unblocked(Guid blockerId, Guid userId);

    /// <summary>An administrator made all tokens of a user void.</summary>
    [LoggerMessage(7, LogLevel.Information, "Tokens revoked: user {UserId} by administrator {AdministratorId}")]
    public partial void TokensRevoked(Guid administratorId, Guid userId);

    /// <summary>A handshake came from a page that may not use this server.</summary>
    [LoggerMessage(8, LogLevel.Warning, "Origin refused: a handshake from a page that is neither ours nor in Origins:Allowed")]
    public partial void OriginRefused();
}
