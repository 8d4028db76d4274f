using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Chat.Socket;

/// <summary>
/// Takes a connection out of HTTP's hands once it has become a WebSocket. Kestrel keeps a request for as long as its
/// upgraded connection: headers, claims, services and the whole chain of middleware, more than twice of what the socket
/// itself needs. So the request ends with the handshake, and the connection goes on without it. Not where something
/// lies between HTTP and the connection: under TLS of our own and in HTTP/2 the request stays.
/// </summary>
internal sealed class Handover : IConnectionHeartbeatFeature
{
    private readonly ConnectionContext connection;
    private readonly IDuplexPipe pipes;
    private (Action<object> Beat, object State)? http;
    private Func<Task>? socket;
    private bool isTaken;

    private Handover(ConnectionContext connection)
    {
        this.connection = connection;
        pipes = connection.Transport;
        var heartbeat = connection.Features.Get<IConnectionHeartbeatFeature>();
        heartbeat?.OnHeartbeat(static own => ((Handover)own).Beat(), this);
        connection.Features.Set<IConnectionHeartbeatFeature>(this);
        connection.Features.Set(this);
        connection.Transport = new Pipes(pipes.Input, new Output(this));
    }

    /// <summary>Serves a connection: HTTP first, and then the WebSocket that it may have become.</summary>
    public static async Task RunAsync(ConnectionContext connection, ConnectionDelegate http, Limits limits, TimeProvider time)
    {
        var handover = new Handover(connection);
        await http(connection);
        if (handover.LetGo() is not { } socket)
            return;
        try
        {
            await socket();
        }
        finally
        {
            // What is still on its way has its time to leave; a client that takes nothing must not hold the connection.
            await connection.Transport.Output.CompleteAsync();
            await Task.Delay(limits.CloseTimeout, time, connection.ConnectionClosed).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!connection.ConnectionClosed.IsCancellationRequested)
                connection.Abort();
        }
    }

    /// <summary>Takes the connection, right behind the answer to the handshake.</summary>
    /// <returns>Null if it is not HTTP's alone.</returns>
    public ConnectionContext? Take()
    {
        if (connection.Features.Get<ITlsHandshakeFeature>() is not null)
            return null;
        isTaken = true;
        connection.Transport = pipes;
        return connection;
    }

    /// <summary>What goes on with the connection once the request has ended.</summary>
    public void Continue(Func<Task> with) => socket = with;

    void IConnectionHeartbeatFeature.OnHeartbeat(Action<object> action, object state) => http = (action, state);

    // HTTP's time-outs, which end with HTTP.
    private void Beat()
    {
        if (http is var (beat, state))
            beat(state);
    }

    private Func<Task>? LetGo()
    {
        var own = socket;
        (http, socket) = (null, null);
        return own;
    }

    private sealed class Pipes(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }

    /// <summary>What HTTP writes to: it ends its output with the last request, and the connection with it.</summary>
    private sealed class Output(Handover handover) : PipeWriter
    {
        private readonly PipeWriter inner = handover.pipes.Output;

        public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

        public override long UnflushedBytes => inner.UnflushedBytes;

        public override void Advance(int bytes) => inner.Advance(bytes);

        public override Memory<byte> GetMemory(int sizeHint = 0) => inner.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => inner.GetSpan(sizeHint);

        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

        public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) =>
            inner.WriteAsync(source, cancellationToken);

        public override void CancelPendingFlush() => inner.CancelPendingFlush();

        public override void Complete(Exception? exception = null)
        {
            if (!handover.isTaken)
                inner.Complete(exception);
        }
    }
}
