using System.Net;

namespace Chat.Telemetry;

/// <summary>
/// The audit trail: who signed in, who was refused, who disconnected whom. Log category <c>Chat.Audit</c>, level Information,
/// each kind with an event id of its own. Contains ids only: no token, no name, no content.
/// </summary>
internal sealed partial class AuditLog(IConfiguration configuration, ILoggerFactory loggers)
{
    /// <summary>The log category. Operators route and filter by it, so it does not follow the type's name.</summary>
    public const string Category = "Chat.Audit";

    private readonly ILogger log = loggers.CreateLogger(Category);
    private readonly double disconnectShare = configuration.GetValue("Audit:ConnectionEnds", 1.0);

    /// <summary>Records the end of a connection; a sample of them, if the setting says so.</summary>
    public void Disconnected(Guid? userId, IPAddress? address, Guid connectionId, int code, string reason, TimeSpan duration)
    {
        // Sampled by connection id, so that a connection is either logged or not.
        if (log.IsEnabled(LogLevel.Information) && (uint)connectionId.GetHashCode() < disconnectShare * uint.MaxValue)
            Disconnected(userId, address, connectionId, code, reason, (long)duration.TotalSeconds);
    }

    [LoggerMessage(20, LogLevel.Information,
        "Disconnected: user {UserId} from {Address} on connection {ConnectionId}: {Code} ({Reason}) after {Seconds} s")]
    private partial void Disconnected(Guid? userId, IPAddress? address, Guid connectionId, int code, string reason, long seconds);

    /// <summary>Records a token accepted on a connection. REST requests present theirs each time and are not recorded.</summary>
    [LoggerMessage(1, LogLevel.Information, "Signed in: user {UserId} on connection {ConnectionId} from {Address}")]
    public partial void SignedIn(Guid userId, Guid connectionId, IPAddress? address);

    /// <summary>Records a token refused on a connection. The token's own claims are truncated and unverified.</summary>
    [LoggerMessage(2, LogLevel.Information,
        "Sign-in refused: {Fault} on connection {ConnectionId} from {Address}: {Reason} (iss {Issuer}, kid {KeyId})")]
    public partial void SignInRefused(string fault, Guid connectionId, string address, string reason, string issuer, string keyId);

    /// <summary>Records a token refused over REST. The route is the endpoint's pattern, not the requested path.</summary>
    [LoggerMessage(3, LogLevel.Information, "Request refused: {Fault} at {Route} from {Address}: {Reason} (iss {Issuer}, kid {KeyId})")]
    public partial void RequestRefused(string fault, string route, string address, string reason, string issuer, string keyId);

    /// <summary>Records a request that the token does not permit.</summary>
    [LoggerMessage(4, LogLevel.Warning, "Access denied: user {UserId} at {Route}")]
    public partial void AccessDenied(string userId, string route);

    /// <summary>Records an added block.</summary>
    [LoggerMessage(5, LogLevel.Information, "Blocked: user {UserId} by user {BlockerId}")]
    public partial void Blocked(Guid blockerId, Guid userId);

    /// <summary>Records a removed block.</summary>
    [LoggerMessage(6, LogLevel.Information, "Unblocked: user {UserId} by user {BlockerId}")]
    public partial void Unblocked(Guid blockerId, Guid userId);

    /// <summary>Records that an administrator revoked all tokens of a user.</summary>
    [LoggerMessage(7, LogLevel.Information, "Tokens revoked: user {UserId} by administrator {AdministratorId}")]
    public partial void TokensRevoked(Guid administratorId, Guid userId);

    /// <summary>Records that a username moved to a user with a newer token (<c>Directory:Names</c> = <c>latest</c>).</summary>
    [LoggerMessage(9, LogLevel.Information, "Username moved: from user {FromId} to user {ToId}, whose token is newer")]
    public partial void UsernameMoved(Guid fromId, Guid toId);

    /// <summary>Records that an administrator released a user's username.</summary>
    [LoggerMessage(10, LogLevel.Information, "Username released: of user {UserId} by administrator {AdministratorId}")]
    public partial void UsernameReleased(Guid userId, Guid administratorId);

    /// <summary>Records that an administrator assigned a username to a user.</summary>
    [LoggerMessage(11, LogLevel.Information, "Username assigned: to user {UserId} by administrator {AdministratorId}")]
    public partial void UsernameAssigned(Guid userId, Guid administratorId);

    /// <summary>Records that a user revoked all of their own tokens.</summary>
    [LoggerMessage(12, LogLevel.Information, "Signed out everywhere: user {UserId}")]
    public partial void SignedOutEverywhere(Guid userId);

    /// <summary>
    /// Records a handshake from a page whose origin is not allowed. Behind a proxy the expected origin is wrong if the proxy does
    /// not pass <c>Host</c> on, or is not in <c>Proxies:Known</c>.
    /// </summary>
    [LoggerMessage(8, LogLevel.Warning,
        "Origin refused: a handshake from a page of {Origin}, which is neither ours ({Expected}) nor in Origins:Allowed")]
    public partial void OriginRefused(string origin, string expected);

    /// <summary>Records that an operator closed a connection.</summary>
    [LoggerMessage(30, LogLevel.Information, "Operator at {Address} disconnected: connection {ConnectionId} of user {UserId}")]
    public partial void OperatorDisconnected(IPAddress? address, Guid connectionId, Guid? userId);

    /// <summary>Records that an operator closed all connections of a user to this node.</summary>
    [LoggerMessage(31, LogLevel.Information, "Operator at {Address} disconnected: {Count} connections of user {UserId}")]
    public partial void OperatorDisconnectedAll(IPAddress? address, int count, Guid userId);

    /// <summary>Records that an operator started a drain.</summary>
    [LoggerMessage(32, LogLevel.Information, "Operator at {Address} started a drain: {Count} connections")]
    public partial void DrainBegan(IPAddress? address, int count);

    /// <summary>Records that an operator put the node back into service.</summary>
    [LoggerMessage(33, LogLevel.Information, "Operator at {Address} ended the drain: {Count} connections remain")]
    public partial void DrainEnded(IPAddress? address, int count);

    /// <summary>Records that an operator changed a log level.</summary>
    [LoggerMessage(34, LogLevel.Information, "Operator at {Address} set the log level of {Category} to {Level} {Until}")]
    public partial void LogLevelSet(IPAddress? address, string category, LogLevel level, string until);

    /// <summary>Records that an operator reset a log level.</summary>
    [LoggerMessage(35, LogLevel.Information, "Operator at {Address} reset the log level of {Category} to the configured one")]
    public partial void LogLevelReset(IPAddress? address, string category);

    /// <summary>Records that a log level expired.</summary>
    [LoggerMessage(36, LogLevel.Information, "The log level of {Category} has expired and is reset to the configured one")]
    public partial void LogLevelExpired(string category);

    /// <summary>Records that an operator started to trace a user's frames, without their content.</summary>
    [LoggerMessage(37, LogLevel.Information, "Operator at {Address} traces user {UserId} until {Until:yyyy-MM-dd'T'HH:mm:ss'Z'}")]
    public partial void TraceBegan(IPAddress? address, Guid userId, DateTimeOffset until);

    /// <summary>Records that an operator stopped a trace.</summary>
    [LoggerMessage(
        38, LogLevel.Information, "Operator at {Address} ended the trace of user {UserId}: {Told} frames logged, {LeftOut} omitted")]
    public partial void TraceEnded(IPAddress? address, Guid userId, long told, long leftOut);

    /// <summary>Records that a trace expired.</summary>
    [LoggerMessage(40, LogLevel.Information, "The trace of user {UserId} has expired: {Told} frames logged, {LeftOut} omitted")]
    public partial void TraceExpired(Guid userId, long told, long leftOut);

    /// <summary>Records that an operator downloaded a debug bundle.</summary>
    [LoggerMessage(41, LogLevel.Information, "Operator at {Address} took a debug bundle")]
    public partial void DebugBundleTaken(IPAddress? address);

    /// <summary>
    /// Records a refused call of the admin port; at most one line a second. The route is a pattern, not the requested path.
    /// </summary>
    [LoggerMessage(39, LogLevel.Warning, "Admin call refused: {Method} {Route} from {Address}: {Reason}")]
    public partial void AdminCallRefused(string method, string route, IPAddress? address, string reason);
}
