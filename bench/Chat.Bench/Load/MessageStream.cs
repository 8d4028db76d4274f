namespace Chat.Bench.Load;

/// <summary>
/// The messages of one sender in one conversation. Tracks those in flight, and checks that each arrives exactly once and in
/// order: as an ack at the sender and as a push at every receiver.
/// </summary>
internal sealed class MessageStream
{
    private readonly DeliveryStats stats;
    private readonly WebSocketClient sender;
    private readonly WebSocketClient[] receivers;
    private readonly Wire.SendFrame frame;
    private readonly long[] expected;
    private long acknowledged;
    private (long At, int Awaited)[] inFlight = new (long, int)[64];
    private long sent;

    public MessageStream(DeliveryStats stats, WebSocketClient sender, WebSocketClient[] receivers, Wire.SendFrame frame)
    {
        (this.stats, this.sender, this.receivers, this.frame) = (stats, sender, receivers, frame);
        expected = new long[receivers.Length];
    }

    /// <summary>Called with the current time when a message is complete.</summary>
    public Action<MessageStream, long>? OnCompleted { get; set; }

    /// <summary>The number of sent messages.</summary>
    public long Sent => sent;

    /// <summary>The number of complete messages: acknowledged, and pushed to all receivers.</summary>
    public long Completed { get; private set; }

    /// <summary>Sends the next message.</summary>
    /// <param name="since">The timestamp from which its latency is measured: now, or when it was due.</param>
    public void Send(long since)
    {
        if (sent - Completed >= inFlight.Length)
            Grow();
        inFlight[sent % inFlight.Length] = (since, 1 + receivers.Length);
        sender.Send(frame.WithNumber(sent++));
        stats.Sent++;
    }

    /// <summary>Records an ack of this number.</summary>
    public void Acknowledged(WebSocketClient client, long number, long now)
    {
        if (client != sender)
            stats.Misdelivered++;
        else if (IsNext(ref acknowledged, number))
            Complete(number, now, stats.AckLatency);
    }

    /// <summary>Records a push of this number.</summary>
    public void Delivered(WebSocketClient client, long number, long now)
    {
        var receiver = Array.IndexOf(receivers, client);
        if (receiver < 0)
        {
            stats.Misdelivered++;
        }
        else if (IsNext(ref expected[receiver], number))
        {
            stats.Delivered++;
            Complete(number, now, stats.DeliveryLatency);
        }
    }

    /// <summary>The number of acks and pushes that have not arrived.</summary>
    public long Missing => sent - acknowledged + expected.Sum(next => sent - next);

    private bool IsNext(ref long next, long number)
    {
        if (number < next || number >= sent)
        {
            stats.Duplicates++;
            return false;
        }

        stats.OutOfOrder += number - next;
        next = number + 1;
        return true;
    }

    private void Complete(long number, long now, Latency latency)
    {
        ref var message = ref inFlight[number % inFlight.Length];
        latency.Record(message.At, now);
        if (--message.Awaited > 0)
            return;
        Completed++;
        OnCompleted?.Invoke(this, now);
    }

    private void Grow()
    {
        var larger = new (long, int)[inFlight.Length * 2];
        for (var number = Math.Max(0, sent - inFlight.Length); number < sent; number++)
            larger[number % larger.Length] = inFlight[number % inFlight.Length];
        inFlight = larger;
    }
}
