using System.Net;
using Chat.Rest;
using Chat.Socket;
using Chat.Telemetry;

namespace Chat.Admin;

/// <summary>
/// <c>GET /connections</c>: who is on this node, with filters, sorted, and never all of them. <c>DELETE</c>: closes one, or those of a
/// user, with a code that has their clients come back; to keep somebody out, revoke their tokens.
/// </summary>
internal sealed class ConnectionsModule(Hub hub, AuditLog audit, TimeProvider time) : IAdminModule
{
    private const int DefaultLimit = 100;
    private const int MaxLimit = 1000;
    private const int MaxQueue = 1_000_000;
    private static readonly TimeSpan MaxAge = TimeSpan.FromDays(365);

    public void Map(IEndpointRouteBuilder admin)
    {
        admin.MapGet("/connections", List).WithSummary("Who is here. ?user=&address=&minAge=&minQueue=&sort=age|queue|silent&limit=");
        admin.MapDelete("/connections", DisconnectUser).WithSummary("Closes a user's connections: they come back, anywhere. ?user=");
        admin.MapDelete("/connections/{id:guid}", DisconnectOne).WithSummary("Closes one connection.");
    }

    private IResult List(HttpContext http)
    {
        var query = new AdminQuery(http, "user", "address", "minAge", "minQueue", "sort", "limit");
        var (user, network) = (query.Id("user"), query.Network("address"));
        var (minAge, minQueue) = (query.Time("minAge", TimeSpan.Zero, MaxAge), query.Number("minQueue", 0, MaxQueue));
        var (sort, limit) = (query.Choice<ConnectionOrder>("sort"), query.Number("limit", 1, MaxLimit));
        if (query.Refusal is { } refusal)
            return refusal;

        // One look, so that the totals and the list say the same.
        var now = time.GetUtcNow();
        var all = hub.Connections.Select(connection => ConnectionView.Of(connection, now)).ToArray();
        var matching = all.Where(one =>
            (user is null || one.UserId == user)
            && (network is not { } within || (one.At is { } address && within.Contains(address)))
            && (minAge is null || one.AgeSeconds >= minAge.Value.TotalSeconds)
            && (minQueue is null || one.QueueEvents >= minQueue)).ToArray();
        var sorted = matching.OrderByDescending(one => sort switch
        {
            ConnectionOrder.Queue => one.QueueBytes,
            ConnectionOrder.Silent => one.SilentSeconds,
            _ => one.AgeSeconds,
        }).ThenBy(one => one.Id);
        return TypedResults.Json(
            new ConnectionList(ConnectionTotals.Of(all), ConnectionTotals.Of(matching), [.. sorted.Take(limit ?? DefaultLimit)]), AdminJson.Wire.ConnectionList);
    }

    private IResult DisconnectUser(HttpContext http)
    {
        var query = new AdminQuery(http, "user");
        var user = query.Id("user");
        if (user is null)
            query.Refuse("user", "Say whose: ?user=<id>.");
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
            return ChatError.NotFound("No connection of this id is open on this node.").ToProblem();
        connection.CloseAfterReply(Disconnect.ByOperator);
        audit.OperatorDisconnected(http.OperatorAddress(), id, connection.Token?.Identity?.Id);
        return TypedResults.NoContent();
    }
}

/// <summary>What the list begins with.</summary>
internal enum ConnectionOrder
{
    /// <summary>The oldest connection.</summary>
    Age,

    /// <summary>The one with the most bytes that wait.</summary>
    Queue,

    /// <summary>The one that nothing was heard of for longest.</summary>
    Silent,
}

/// <summary>The answer of <c>GET /connections</c>.</summary>
/// <param name="Total">All connections of the node.</param>
/// <param name="Matching">Those that the filters let through.</param>
/// <param name="Connections">The first of these, in the order asked for.</param>
internal sealed record ConnectionList(ConnectionTotals Total, ConnectionTotals Matching, IReadOnlyList<ConnectionView> Connections);

/// <summary>Connections, counted.</summary>
internal sealed record ConnectionTotals(int Connections, int SignedIn, int Users, long QueueEvents, long QueueBytes)
{
    public static ConnectionTotals Of(IReadOnlyCollection<ConnectionView> connections) => new(
        connections.Count,
        connections.Count(one => one.UserId is not null),
        connections.Select(one => one.UserId).OfType<Guid>().Distinct().Count(),
        connections.Sum(one => (long)one.QueueEvents),
        connections.Sum(one => (long)one.QueueBytes));
}

/// <summary>One connection.</summary>
/// <param name="Id">As in the log and in <c>auth_success</c>.</param>
/// <param name="UserId">Nobody's until a token was accepted.</param>
/// <param name="Address">Where it came from, behind the proxies that are believed.</param>
/// <param name="ConnectedAt">When its socket was accepted.</param>
/// <param name="AgeSeconds">How long ago that is.</param>
/// <param name="SilentSeconds">How long ago its last sign of life was, a pong included.</param>
/// <param name="QueueEvents">Events that wait to be written to it.</param>
/// <param name="QueueBytes">Their bytes.</param>
/// <param name="IsClosing">Whether it was told to close, and has not answered yet.</param>
internal sealed record ConnectionView(
    Guid Id, Guid? UserId, string? Address, DateTimeOffset ConnectedAt, long AgeSeconds, long SilentSeconds, int QueueEvents, int QueueBytes, bool IsClosing)
{
    /// <summary>The address as filters compare it.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public IPAddress? At { get; init; }

    public static ConnectionView Of(Connection connection, DateTimeOffset now) => new(
        connection.Id, connection.Token?.Identity?.Id, connection.Address?.ToString(), connection.ConnectedAt,
        (long)(now - connection.ConnectedAt).TotalSeconds, (long)connection.IdleTime.TotalSeconds, connection.QueueLength, connection.QueueBytes, connection.IsClosing)
    {
        At = connection.Address,
    };
}

/// <summary>The answer of <c>DELETE /connections?user=</c>.</summary>
/// <param name="Disconnected">How many connections were told to close.</param>
internal sealed record DisconnectedConnections(int Disconnected);
