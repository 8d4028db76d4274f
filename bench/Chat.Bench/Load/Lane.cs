namespace Chat.Bench.Load;

/// <summary>
/// One sender's messages in one conversation: what is under way, and whether each came exactly once and in order, to
/// the sender as an answer and to every receiver as a push.
/// </summary>
internal sealed class Lane
{
    private readonly Tally tally;
    private readonly Client sender;
    private readonly Client[] receivers;
    private readonly Wire.SendFrame frame;
    private readonly long[] expected;
    private long answered;
    private (long At, int Awaited)[] underWay = new (long, int)[64];
    private long sent;

    public Lane(Tally tally, Client sender, Client[] receivers, Wire.SendFrame frame)
    {
        (this.tally, this.sender, this.receivers, this.frame) = (tally, sender, receivers, frame);
        expected = new long[receivers.Length];
    }

    /// <summary>Called when a message has come everywhere, with the time that it then is.</summary>
    public Action<Lane, long>? OnSettled { get; set; }

    /// <summary>Messages sent.</summary>
    public long Sent => sent;

    /// <summary>Messages that have come everywhere.</summary>
    public long Settled { get; private set; }

    /// <summary>Sends the next message.</summary>
    /// <param name="since">When its time began: now, or when it was to be sent.</param>
    public void Send(long since)
    {
        if (sent - Settled >= underWay.Length)
            Grow();
        underWay[sent % underWay.Length] = (since, 1 + receivers.Length);
        sender.Send(frame.For(sent++));
        tally.Sent++;
    }

    /// <summary>An answer with this number has come.</summary>
    public void Answered(Client client, long number, long now)
    {
        if (client != sender)
            tally.Misled++;
        else if (IsNext(ref answered, number))
            Settle(number, now, tally.Answers);
    }

    /// <summary>A push of this number has come.</summary>
    public void Delivered(Client client, long number, long now)
    {
        var receiver = Array.IndexOf(receivers, client);
        if (receiver < 0)
        {
            tally.Misled++;
        }
        else if (IsNext(ref expected[receiver], number))
        {
            tally.Delivered++;
            Settle(number, now, tally.Deliveries);
        }
    }

    /// <summary>After the end: what never came, as answers and pushes.</summary>
    public long Missing => sent - answered + expected.Sum(next => sent - next);

    private bool IsNext(ref long next, long number)
    {
        if (number < next || number >= sent)
        {
            tally.Doubled++;
            return false;
        }

        tally.Skipped += number - next;
        next = number + 1;
        return true;
    }

    private void Settle(long number, long now, Latency latency)
    {
        ref var one = ref underWay[number % underWay.Length];
        latency.Record(one.At, now);
        if (--one.Awaited > 0)
            return;
        Settled++;
        OnSettled?.Invoke(this, now);
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
internal sealed class Tally : IFrames
{
    private readonly long[] kinds = new long[Enum.GetValues<FrameKind>().Length];

    /// <summary>By the number in their marks.</summary>
    public IReadOnlyList<Lane> Lanes { get; set; } = [];

    public Latency Answers { get; } = new();

    public Latency Deliveries { get; } = new();

    public long Sent { get; set; }

    public long Delivered { get; set; }

    /// <summary>Messages that came once more, or that nobody had sent.</summary>
    public long Doubled { get; set; }

    /// <summary>Messages that others overtook, or that never came.</summary>
    public long Skipped { get; set; }

    /// <summary>Messages that came to somebody else.</summary>
    public long Misled { get; set; }

    /// <summary>The first error of the server's.</summary>
    public string? Error { get; private set; }

    /// <summary>Frames of a kind.</summary>
    public long Frames(FrameKind kind) => kinds[(int)kind];

    public void Received(Client client, FrameKind kind, ReadOnlySpan<byte> frame, long now)
    {
        kinds[(int)kind]++;
        if (kind == FrameKind.Error)
            Error ??= System.Text.Encoding.UTF8.GetString(frame);
        if (kind is not (FrameKind.New or FrameKind.Sent))
            return;
        if (!Wire.TryReadMark(frame, out var lane, out var number) || lane >= Lanes.Count)
            Misled++;
        else if (kind == FrameKind.New)
            Lanes[lane].Delivered(client, number, now);
        else
            Lanes[lane].Answered(client, number, now);
    }

    /// <summary>Whether nothing was lost, doubled, led astray or out of order; one line for each fault.</summary>
    public IEnumerable<string> Faults()
    {
        var missing = Lanes.Sum(lane => lane.Missing);
        if (missing > 0)
            yield return $"{missing} answers or pushes never came.";
        if (Skipped > 0)
            yield return $"{Skipped} answers or pushes were overtaken or lost.";
        if (Doubled > 0)
            yield return $"{Doubled} answers or pushes came twice.";
        if (Misled > 0)
            yield return $"{Misled} messages came to somebody else.";
        if (Error is not null)
            yield return $"The server answered {Frames(FrameKind.Error)} errors, the first of them: {Error}";
    }
}
