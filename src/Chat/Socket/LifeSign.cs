using System.Diagnostics.CodeAnalysis;
using Microsoft.AspNetCore.Http.Features;

namespace Chat.Socket;

/// <summary>
/// When the other side was last heard of. .NET's WebSocket swallows pongs, so the stream below it is watched: whatever
/// arrives, pongs included, is a sign of life.
/// </summary>
internal sealed class LifeSign(TimeProvider time)
{
    private long last = time.GetTimestamp();

    public TimeSpan Age => time.GetElapsedTime(Volatile.Read(ref last));

    public void Touch() => Volatile.Write(ref last, time.GetTimestamp());
}

/// <summary>Hands out the upgraded connection (HTTP/1.1) as a <see cref="WatchedStream"/>.</summary>
internal sealed class WatchedUpgrade(IHttpUpgradeFeature inner, Transport transport, LifeSign sign) : IHttpUpgradeFeature
{
    public bool IsUpgradableRequest => inner.IsUpgradableRequest;

    public async Task<Stream> UpgradeAsync() => transport.Stream = new WatchedStream(await inner.UpgradeAsync(), sign);
}

/// <summary>The same for WebSockets over HTTP/2 (RFC 8441).</summary>
internal sealed class WatchedConnect(IHttpExtendedConnectFeature inner, Transport transport, LifeSign sign) : IHttpExtendedConnectFeature
{
    public bool IsExtendedConnect => inner.IsExtendedConnect;

    public string? Protocol => inner.Protocol;

    public async ValueTask<Stream> AcceptAsync() => transport.Stream = new WatchedStream(await inner.AcceptAsync(), sign);
}

/// <summary>Passes everything through and notes when something was read.</summary>
[SuppressMessage("Performance", "CA1844", Justification = "The WebSocket calls the Memory overloads, which are here.")]
internal sealed class WatchedStream(Stream inner, LifeSign sign) : Stream
{
    public override bool CanRead => inner.CanRead;

    public override bool CanSeek => false;

    public override bool CanWrite => inner.CanWrite;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        sign.Touch();
        return read;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        inner.WriteAsync(buffer, cancellationToken);

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

    public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

    public override void Flush() => inner.Flush();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    // Dispose leaves the inner stream alone: it is the request's, and see Transport.
}
