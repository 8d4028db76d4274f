namespace Chat.Bench.Load;

/// <summary>
/// One sender's messages in one conversation: what is under way, and whether each came exactly once and in order, to
/// the sender as an answer and to every receiver as a push.
/// </summary>
internal sealed class MessageStream
{
    private readonly DeliveryStats tally;
    private readonly WebSocketClient sender;
    private readonly WebSocketClient[] receivers;
    private readonly Wire.SendFrame frame;
    private readonly long[] expected;
    private long answered;
    private (long At, int Awaited)[] underWay = new (long, int)[64];
    private long sent;

    public MessageStream(DeliveryStats tally, WebSocketClient sender, WebSocketClient[] receivers, Wire.SendFrame frame)
    {
        (this.tally, this.sender, this.receivers, this.frame) = (tally, sender, receivers, frame);
        expected = new long[receivers.Length];
    }

    /// <summary>Called when a message has come everywhere, with the time that it then is.</summary>
    public Action<MessageStream, long>? OnCompleted { get; set; }

    /// <summary>Messages sent.</summary>
    public long Sent => sent;

    /// <summary>Messages that have come everywhere.</summary>
    public long Completed { get; private set; }

    /// <summary>Sends the next message.</summary>
    /// <param name="since">When its time began: now, or when it was to be sent.</param>
    public void Send(long since)
    {
        if (sent - Completed >= underWay.Length)
            Grow();
        underWay[sent % underWay.Length] = (since, 1 + receivers.Length);
        sender.Send(frame.For(sent++));
        tally.Sent++;
    }

    /// <summary>An answer with this number has come.</summary>
    public void Answered(WebSocketClient client, long number, long now)
    {
        if (client != sender)
            tally.Misdelivered++;
        else if (IsNext(ref answered, number))
            Complete(number, now, tally.Answers);
    }

    /// <summary>A push of this number has come.</summary>
    public void Delivered(WebSocketClient client, long number, long now)
    {
        var receiver = Array.IndexOf(receivers, client);
        if (receiver < 0)
        {
            tally.Misdelivered++;
        }
        else if (IsNext(ref expected[receiver], number))
        {
            tally.Delivered++;
            Complete(number, now, tally.Deliveries);
        }
    }

    /// <summary>After the end: what never came, as answers and pushes.</summary>
    public long Missing => sent - answered + expected.Sum(next => sent - next);

    private bool IsNext(ref long next, long number)
    {
        if (number < next || number >= sent)
        {
            tally.Duplicates++;
            return false;
        }

        tally.OutOfOrder += number - next;
        next = number + 1;
        return true;
    }

    private void Complete(long number, long now, Latency latency)
    {
        ref var one = ref underWay[number % underWay.Length];
        latency.Record(one.At, now);
        if (--one.Awaited > 0)
            return;
        Completed++;
        OnCompleted?.Invoke(this, now);
    }

    private void Grow()
    {
        var wider = new (long, int)[underWay.Length * 2];
        for (var number = Math.Max(0, sent - underWay.Length); number < sent; number++)
            wider[number % wider.Length] = underWay[number % underWay.Length];
        underWay = wider;
    }
}

/// <summary>What all lanes of a run have seen.</summary>
internal sealed class DeliveryStats : IFrameHandler
{
    private readonly long[] kinds = new long[Enum.GetValues<FrameKind>().Length];

    /// <summary>By the number in their marks.</summary>
    public IReadOnlyList<MessageStream> Streams { get; set; } = [];

    public Latency Answers { get; } = new();

    public Latency Deliveries { get; } = new();

    public long Sent { get; set; }

    public long Delivered { get; set; }

    /// <summary>Messages that came once more, or that nobody had sent.</summary>
    public long Duplicates { get; set; }

    /// <summary>Messages that others overtook, or that never came.</summary>
    public long OutOfOrder { get; set; }

    /// <summary>Messages that came to somebody else.</summary>
    public long Misdelivered { get; set; }

    /// <summary>The first error of the server's.</summary>
    public string? Error { get; private set; }

    /// <summary>Frames of a kind.</summary>
    public long Frames(FrameKind kind) => kinds[(int)kind];

    public void OnFrame(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now)
    {
        kinds[(int)kind]++;
        if (kind == FrameKind.Error)
            Error ??= System.Text.Encoding.UTF8.GetString(frame);
        if (kind is not (FrameKind.New or FrameKind.Sent))
            return;
        if (!Wire.TryReadMarker(frame, out var lane, out var number) || lane >= Streams.Count)
            Misdelivered++;
        else if (kind == FrameKind.New)
            Streams[lane].Delivered(client, number, now);
        else
            Streams[lane].Answered(client, number, now);
    }

    /// <summary>Whether nothing was lost, doubled, led astray or out of order; one line for each fault.</summary>
    public IEnumerable<string> Validate()
    {
        var missing = Streams.Sum(lane => lane.Missing);
        if (missing > 0)
            yield return $"{missing} answers or pushes never came.";
        if (OutOfOrder > 0)
            yield return $"{OutOfOrder} answers or pushes were overtaken or lost.";
        if (Duplicates > 0)
            yield return $"{Duplicates} answers or pushes came twice.";
        if (Misdelivered > 0)
            yield return $"{Misdelivered} messages came to somebody else.";
        if (Error is not null)
            yield return $"The server answered {Frames(FrameKind.Error)} errors, the first of them: {Error}";
    }
}
