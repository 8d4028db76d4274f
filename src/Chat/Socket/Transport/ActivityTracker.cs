namespace Chat.Socket;

/// <summary>
/// When the other side was last heard of. .NET's WebSocket swallows pongs, so the stream below it is watched: whatever
/// arrives, pongs included, is a sign of life.
/// </summary>
internal sealed class ActivityTracker(TimeProvider time)
{
    private long last = time.GetTimestamp();

    public TimeSpan IdleTime => time.GetElapsedTime(Volatile.Read(ref last));

    public void Touch() => Volatile.Write(ref last, time.GetTimestamp());
}
