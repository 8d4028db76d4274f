using System.Net;
using Chat.Rest;
using Chat.Socket;
using Chat.Telemetry;

namespace Chat.Admin;

/// <summary>
/// <c>GET /connections</c>: lists this node's connections, filtered, sorted, and limited in number. <c>DELETE</c>: closes one, or those
/// of a user, with a code that makes the clients reconnect; to keep a user out, revoke their tokens.
/// </summary>
internal sealed class ConnectionsModule(Hub hub, AuditLog audit, TimeProvider time) : IAdminModule
{
    private const int DefaultLimit = 100;
    private const int MaxLimit = 1000;
    private const int MaxQueue = 1_000_000;
    private static readonly TimeSpan MaxAge = TimeSpan.FromDays(365);

    public void Map(IEndpointRouteBuilder admin)
    {
        admin.MapGet("/connections", List).WithSummary("Lists connections. ?user=&address=&minAge=&minQueue=&sort=age|queue|silent&limit=");
        admin.MapDelete("/connections", DisconnectUser).WithSummary("Closes a user's connections; the clients reconnect. ?user=");
        admin.MapDelete("/connections/{id:guid}", DisconnectOne).WithSummary("Closes one connection.");
    }

    private IResult List(HttpContext http)
    {
        var query = new AdminQuery(http, "user", "address", "minAge", "minQueue", "sort", "limit");
        var (user, filter) = (query.Id("user"), query.Network("address"));
        var (minAge, minQueue) = (query.Time("minAge", TimeSpan.Zero, MaxAge), query.Number("minQueue", 0, MaxQueue));
        var (sort, limit) = (query.Choice<ConnectionOrder>("sort"), query.Number("limit", 1, MaxLimit));
        if (query.Refusal is { } refusal)
            return refusal;

        // A single snapshot, so that totals and list agree.
        var now = time.GetUtcNow();
        var all = hub.Connections.Select(connection => ConnectionView.Of(connection, now)).ToArray();
        var matching = all.Where(view =>
            (user is null || view.UserId == user)
            && (filter is not { } range || (view.At is { } address && range.Contains(address)))
            && (minAge is null || view.AgeSeconds >= minAge.Value.TotalSeconds)
            && (minQueue is null || view.QueueEvents >= minQueue)).ToArray();
        var sorted = matching.OrderByDescending(view => sort switch
        {
            ConnectionOrder.Queue => view.QueueBytes,
            ConnectionOrder.Silent => view.SilentSeconds,
            _ => view.AgeSeconds,
        }).ThenBy(view => view.Id);
        return TypedResults.Json(
            new ConnectionList(ConnectionTotals.Of(all), ConnectionTotals.Of(matching), [.. sorted.Take(limit ?? DefaultLimit)]),
            AdminJson.Wire.ConnectionList);
    }

    private IResult DisconnectUser(HttpContext http)
    {
        var query = new AdminQuery(http, "user");
        var user = query.Id("user");
        if (user is null)
            query.Refuse("user", "Required: ?user=<id>.");
        if (query.Refusal is { } refusal)
            return refusal;
        var connections = hub.ConnectionsOf(user!.Value);
        foreach (var connection in connections)
            connection.CloseAfterReply(Disconnect.ByOperator);
        audit.OperatorDisconnectedAll(http.OperatorAddress(), connections.Count, user.Value);
        return TypedResults.Json(new DisconnectedConnections(connections.Count), AdminJson.Wire.DisconnectedConnections);
    }

    private IResult DisconnectOne(Guid id, HttpContext http)
    {
        if (new AdminQuery(http).Refusal is { } refusal)
            return refusal;
        if (hub.Find(id) is not { } connection)
            return ChatError.NotFound("Connection not found on this node.").ToProblem();
        connection.CloseAfterReply(Disconnect.ByOperator);
        audit.OperatorDisconnected(http.OperatorAddress(), id, connection.Token?.Identity?.Id);
        return TypedResults.NoContent();
    }
}

/// <summary>The order of the list.</summary>
internal enum ConnectionOrder
{
    /// <summary>By age, the oldest first.</summary>
    Age,

    /// <summary>By bytes queued, the most first.</summary>
    Queue,

    /// <summary>By idle time, the longest first.</summary>
    Silent,
}

/// <summary>The response of <c>GET /connections</c>.</summary>
/// <param name="Total">All connections of the node.</param>
/// <param name="Matching">Those that match the filters.</param>
/// <param name="Connections">The first of these, in the requested order.</param>
internal sealed record ConnectionList(ConnectionTotals Total, ConnectionTotals Matching, IReadOnlyList<ConnectionView> Connections);

/// <summary>Totals of a set of connections.</summary>
internal sealed record ConnectionTotals(int Connections, int SignedIn, int Users, long QueueEvents, long QueueBytes)
{
    public static ConnectionTotals Of(IReadOnlyCollection<ConnectionView> connections) => new(
        connections.Count,
        connections.Count(view => view.UserId is not null),
        connections.Select(view => view.UserId).OfType<Guid>().Distinct().Count(),
        connections.Sum(view => (long)view.QueueEvents),
        connections.Sum(view => (long)view.QueueBytes));
}

/// <summary>One connection.</summary>
/// <param name="Id">As in the log and in <c>auth_success</c>.</param>
/// <param name="UserId">The user; null until authenticated.</param>
/// <param name="Address">The client's address as reported by trusted proxies.</param>
/// <param name="ConnectedAt">When its socket was accepted.</param>
/// <param name="AgeSeconds">Seconds since then.</param>
/// <param name="SilentSeconds">Seconds since anything was received, a pong included.</param>
/// <param name="QueueEvents">The number of queued events.</param>
/// <param name="QueueBytes">Their size in bytes.</param>
/// <param name="IsClosing">Whether a close was sent and not answered yet.</param>
internal sealed record ConnectionView(
    Guid Id, Guid? UserId, string? Address, DateTimeOffset ConnectedAt, long AgeSeconds, long SilentSeconds, int QueueEvents,
    int QueueBytes, bool IsClosing)
{
    /// <summary>The address, for filters.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public IPAddress? At { get; init; }

    public static ConnectionView Of(Connection connection, DateTimeOffset now) => new(
        connection.Id, connection.Token?.Identity?.Id, connection.Address?.ToString(), connection.ConnectedAt,
        (long)(now - connection.ConnectedAt).TotalSeconds, (long)connection.IdleTime.TotalSeconds, connection.QueueLength,
        connection.QueueBytes, connection.IsClosing)
    {
        At = connection.Address,
    };
}

/// <summary>The response of <c>DELETE /connections?user=</c>.</summary>
/// <param name="Disconnected">The number of connections being closed.</param>
internal sealed record DisconnectedConnections(int Disconnected);
