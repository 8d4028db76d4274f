using System.Net;

namespace Chat.Telemetry;

/// <summary>
/// What a security officer asks for afterwards: who came in, who was refused, who cut off whom. Log category
/// <c>Chat.Audit</c>, level Information, each kind under an event id of its own. Ids only: no token, no name, no text.
/// </summary>
internal sealed partial class AuditLog(IConfiguration configuration, ILoggerFactory loggers)
{
    /// <summary>The log category. Operators route and filter by it, so it does not follow the type's name.</summary>
    public const string Category = "Chat.Audit";

    private readonly ILogger log = loggers.CreateLogger(Category);
    private readonly double disconnectShare = configuration.GetValue("Audit:ConnectionEnds", 1.0);

    /// <summary>A connection has ended: who, from where, why and after how long. A share of them, if the setting says so.</summary>
    public void Disconnected(Guid? userId, IPAddress? address, Guid connectionId, int code, string reason, TimeSpan lasted)
    {
        // Sampled by connection id, so that a connection is either logged or not.
        if (log.IsEnabled(LogLevel.Information) && (uint)connectionId.GetHashCode() < disconnectShare * uint.MaxValue)
            Disconnected(userId, address, connectionId, code, reason, (long)lasted.TotalSeconds);
    }

    [LoggerMessage(20, LogLevel.Information, "Disconnected: user {UserId} from {Address} on connection {ConnectionId}: {Code} ({Reason}) after {Seconds} s")]
    private partial void Disconnected(Guid? userId, IPAddress? address, Guid connectionId, int code, string reason, long seconds);

    /// <summary>A token was accepted on a connection. Requests over REST show theirs each time and are not told of.</summary>
    [LoggerMessage(1, LogLevel.Information, "Signed in: user {UserId} on connection {ConnectionId} from {Address}")]
    public partial void SignedIn(Guid userId, Guid connectionId, IPAddress? address);

    /// <summary>A token was refused on a connection. What the token claims of itself is bounded, and not verified.</summary>
    [LoggerMessage(2, LogLevel.Information, "Sign-in refused: {Fault} on connection {ConnectionId} from {Address}: {Reason} (iss {Issuer}, kid {KeyId})")]
    public partial void SignInRefused(string fault, Guid connectionId, string address, string reason, string issuer, string keyId);

    /// <summary>A token was refused over REST. The route is the endpoint's pattern, not what was asked for.</summary>
    [LoggerMessage(3, LogLevel.Information, "Request refused: {Fault} at {Route} from {Address}: {Reason} (iss {Issuer}, kid {KeyId})")]
    public partial void RequestRefused(string fault, string route, string address, string reason, string issuer, string keyId);

    /// <summary>Somebody asked for what their token does not allow.</summary>
    [LoggerMessage(4, LogLevel.Warning, "Not allowed: user {UserId} at {Route}")]
    public partial void AccessDenied(string userId, string route);

    /// <summary>A block was added.</summary>
    [LoggerMessage(5, LogLevel.Information, "Blocked: user {UserId} by user {BlockerId}")]
    public partial void Blocked(Guid blockerId, Guid userId);

    /// <summary>A block was removed.</summary>
    [LoggerMessage(6, LogLevel.Information, "Unblocked: user {UserId} by user {BlockerId}")]
    public partial void Unblocked(Guid blockerId, Guid userId);

    /// <summary>An administrator made all tokens of a user void.</summary>
    [LoggerMessage(7, LogLevel.Information, "Tokens revoked: user {UserId} by administrator {AdministratorId}")]
    public partial void TokensRevoked(Guid administratorId, Guid userId);

    /// <summary>A username went from one user to another, whose token is newer (<c>Directory:Names</c> = <c>latest</c>).</summary>
    [LoggerMessage(9, LogLevel.Information, "Username moved: from user {FromId} to user {ToId}, whose token is newer")]
    public partial void UsernameMoved(Guid fromId, Guid toId);

    /// <summary>An administrator took a username from whoever had it.</summary>
    [LoggerMessage(10, LogLevel.Information, "Username released: of user {UserId} by administrator {AdministratorId}")]
    public partial void UsernameReleased(Guid userId, Guid administratorId);

    /// <summary>An administrator gave a user a username.</summary>
    [LoggerMessage(11, LogLevel.Information, "Username given: to user {UserId} by administrator {AdministratorId}")]
    public partial void UsernameAssigned(Guid userId, Guid administratorId);

    /// <summary>A user made all tokens of their own void.</summary>
    [LoggerMessage(12, LogLevel.Information, "Signed out everywhere: user {UserId}")]
    public partial void SignedOutEverywhere(Guid userId);

    /// <summary>
    /// A handshake came from a page that may not use this server. Behind a proxy the two differ where it does not keep
    /// <c>Host</c>, or is not in <c>Proxies:Known</c>.
    /// </summary>
    [LoggerMessage(8, LogLevel.Warning, "Origin refused: a handshake from a page of {Origin}, which is neither ours ({Expected}) nor in Origins:Allowed")]
    public partial void OriginRefused(string origin, string expected);

    /// <summary>An operator closed a connection, to have its client come back.</summary>
    [LoggerMessage(30, LogLevel.Information, "Operator at {Address} disconnected: connection {ConnectionId} of user {UserId}")]
    public partial void OperatorDisconnected(IPAddress? address, Guid connectionId, Guid? userId);

    /// <summary>An operator closed all connections of a user to this node.</summary>
    [LoggerMessage(31, LogLevel.Information, "Operator at {Address} disconnected: {Count} connections of user {UserId}")]
    public partial void OperatorDisconnectedAll(IPAddress? address, int count, Guid userId);

    /// <summary>An operator sends everybody on this node elsewhere.</summary>
    [LoggerMessage(32, LogLevel.Information, "Operator at {Address} began a drain: {Count} connections")]
    public partial void DrainBegan(IPAddress? address, int count);

    /// <summary>An operator took the node back into service.</summary>
    [LoggerMessage(33, LogLevel.Information, "Operator at {Address} ended the drain: {Count} connections are left")]
    public partial void DrainEnded(IPAddress? address, int count);

    /// <summary>An operator set a log level while the node runs.</summary>
    [LoggerMessage(34, LogLevel.Information, "Operator at {Address} set the log level of {Category} to {Level} {Until}")]
    public partial void LogLevelSet(IPAddress? address, string category, LogLevel level, string until);

    /// <summary>An operator took it back.</summary>
    [LoggerMessage(35, LogLevel.Information, "Operator at {Address} took the log level of {Category} back to what is configured")]
    public partial void LogLevelReset(IPAddress? address, string category);

    /// <summary>Its time was over.</summary>
    [LoggerMessage(36, LogLevel.Information, "The log level of {Category} is back to what is configured: its time is over")]
    public partial void LogLevelExpired(string category);

    /// <summary>An operator has a user's frames told of, without what is in them.</summary>
    [LoggerMessage(37, LogLevel.Information, "Operator at {Address} traces user {UserId} until {Until:yyyy-MM-dd'T'HH:mm:ss'Z'}")]
    public partial void TraceBegan(IPAddress? address, Guid userId, DateTimeOffset until);

    /// <summary>An operator ended it.</summary>
    [LoggerMessage(38, LogLevel.Information, "Operator at {Address} ended the trace of user {UserId}: {Told} frames told, {LeftOut} left out")]
    public partial void TraceEnded(IPAddress? address, Guid userId, long told, long leftOut);

    /// <summary>Its time was over.</summary>
    [LoggerMessage(40, LogLevel.Information, "The trace of user {UserId} is over: {Told} frames told, {LeftOut} left out")]
    public partial void TraceExpired(Guid userId, long told, long leftOut);

    /// <summary>An operator took all that there is to see of the node.</summary>
    [LoggerMessage(41, LogLevel.Information, "Operator at {Address} took a debug bundle")]
    public partial void DebugBundleTaken(IPAddress? address);

    /// <summary>The admin port refused a call; at most one line a second. The route is the call's pattern, not what was asked for.</summary>
    [LoggerMessage(39, LogLevel.Warning, "Admin call refused: {Method} {Route} from {Address}: {Reason}")]
    public partial void AdminCallRefused(string method, string route, IPAddress? address, string reason);
}
