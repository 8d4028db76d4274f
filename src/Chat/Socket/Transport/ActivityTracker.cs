namespace Chat.Socket;

/// <summary>
/// Tracks when something was last received from the peer. .NET's WebSocket hides pongs, so the stream below it is
/// watched: any byte counts, pongs included.
/// </summary>
internal sealed class ActivityTracker(TimeProvider time)
{
    private long last = time.GetTimestamp();

    public TimeSpan IdleTime => time.GetElapsedTime(Volatile.Read(ref last));

    public void Touch() => Volatile.Write(ref last, time.GetTimestamp());
}
