using System.Collections.Frozen;
using System.Diagnostics;
using Chat.Hosting;
using Chat.RateLimiting;
using Chat.Telemetry;

namespace Chat.Socket;

/// <summary>
/// Dispatches a frame to the handler of its event. The routing table is built once, from the slices' registrations; a
/// duplicate name fails the startup. This is the socket's only error boundary: an exception of a handler is a bug or a
/// database failure, is logged once, and the client gets an error without details.
/// </summary>
public sealed partial class SocketDispatcher
{
    private readonly FrozenDictionary<string, SocketRoute> routes;
    private readonly WorkLimiter work;
    private readonly ServerMetrics metrics;
    private readonly DependencyStates dependencies;
    private readonly TimeProvider time;
    private readonly ILogger<SocketDispatcher> log;

    internal SocketDispatcher(IEnumerable<SocketRoute> routes, WorkLimiter work, ServerMetrics metrics, DependencyStates dependencies,
        TimeProvider time, ILogger<SocketDispatcher> log)
    {
        this.work = work;
        this.metrics = metrics;
        this.dependencies = dependencies;
        this.time = time;
        this.log = log;
        this.routes = routes.ToFrozenDictionary(route => route.Name, StringComparer.Ordinal);
    }

    /// <summary>The names of all client events.</summary>
    public IEnumerable<string> Names => routes.Keys;

    /// <summary>Handles one frame to completion.</summary>
    /// <returns>Null, or the error and the id of the event that it replies to.</returns>
    internal async ValueTask<(ChatError Error, string? Id)?> DispatchAsync(ReadOnlyMemory<byte> frame, Connection connection)
    {
        var traces = connection.Traces is { IsOn: true } on ? on : null;
        var startedAt = metrics.WantsEvents || traces is not null ? time.GetTimestamp() : 0;
        SocketRoute? route = null;
        ChatError? error;
        if (!Envelope.TryRead(frame, out var envelope))
            error = ChatError.NoEnvelope;
        else if (!routes.TryGetValue(envelope.Type, out route))
            error = connection.IsAuthenticated ? ChatError.UnknownEvent : ChatError.Unauthorized;
        else if (!connection.IsAuthenticated && !route.AllowsAnonymous)
            error = ChatError.Unauthorized;
        else
            error = await TraceAsync(route, envelope, connection);

        if (startedAt != 0)
        {
            var (name, took) = (route?.Name ?? ServerMetrics.UnknownEvent, time.GetElapsedTime(startedAt));
            var outcome = error is null ? ServerMetrics.Ok : ErrorCodeNames.Of(error.Code);
            metrics.EventHandled(name, outcome, took);
            traces?.Received(connection, name, envelope.Id, frame.Length, outcome, took);
        }

        return error is null ? null : (error, envelope.Id);
    }

    private ValueTask<ChatError?> TraceAsync(SocketRoute route, Envelope envelope, Connection connection) =>
        Tracing.Event(route.Name) is { } span ? TraceAsync(span, route, envelope, connection) : HandleAsync(route, envelope, connection);

    private async ValueTask<ChatError?> TraceAsync(Activity span, SocketRoute route, Envelope envelope, Connection connection)
    {
        using (span)
        {
            var error = await HandleAsync(route, envelope, connection);
            if (error is not null)
                span.SetStatus(ActivityStatusCode.Error, error.Message);
            return error;
        }
    }

    private async ValueTask<ChatError?> HandleAsync(SocketRoute route, Envelope envelope, Connection connection)
    {
        if (!route.HasOwnRateLimit && connection.TakeEventPermit() is var wait && wait > TimeSpan.Zero)
        {
            metrics.LimitHit(nameof(Limits.EventsPerSecond));
            return ChatError.RateLimited(wait);
        }

        try
        {
            return await route.HandleAsync(envelope.Payload, new EventContext(connection, envelope.Id), work);
        }
        catch (Exception failure) when (DatabaseFailure.IsUnavailable(failure))
        {
            dependencies.Postgres.Failed(failure, refusedOthers: 1);
            return ChatError.Unavailable;
        }
#pragma warning disable CA1031 // Error boundary: a failed event must not end the connection.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            HandlerFailed(failure, envelope.Type, connection.Id);
            return ChatError.Internal;
        }
    }

    [LoggerMessage(200, LogLevel.Error, "Handler of {Event} failed on connection {ConnectionId}")]
    private partial void HandlerFailed(Exception failure, string @event, Guid connectionId);
}
