namespace Chat.Bench.Load;

/// <summary>Collects the statistics of all streams of a run.</summary>
internal sealed class DeliveryStats : IFrameHandler
{
    private readonly long[] kinds = new long[Enum.GetValues<FrameKind>().Length];

    /// <summary>All streams; the index is the stream number in the markers.</summary>
    public IReadOnlyList<MessageStream> Streams { get; set; } = [];

    public Latency AckLatency { get; } = new();

    public Latency DeliveryLatency { get; } = new();

    public long Sent { get; set; }

    public long Delivered { get; set; }

    /// <summary>Acks and pushes that were received twice, or never sent.</summary>
    public long Duplicates { get; set; }

    /// <summary>Acks and pushes that were skipped: overtaken or lost.</summary>
    public long OutOfOrder { get; set; }

    /// <summary>Messages that reached the wrong connection.</summary>
    public long Misdelivered { get; set; }

    /// <summary>The first error frame.</summary>
    public string? Error { get; private set; }

    /// <summary>Returns the number of frames of a kind.</summary>
    public long Frames(FrameKind kind) => kinds[(int)kind];

    public void OnFrame(WebSocketClient client, FrameKind kind, ReadOnlySpan<byte> frame, long now)
    {
        kinds[(int)kind]++;
        if (kind == FrameKind.Error)
            Error ??= System.Text.Encoding.UTF8.GetString(frame);
        if (kind is not (FrameKind.New or FrameKind.Sent))
            return;
        if (!Wire.TryReadMarker(frame, out var stream, out var number) || stream >= Streams.Count)
            Misdelivered++;
        else if (kind == FrameKind.New)
            Streams[stream].Delivered(client, number, now);
        else
            Streams[stream].Acknowledged(client, number, now);
    }

    /// <summary>Returns one line for each kind of failure: lost, duplicate, misdelivered or reordered messages, and errors.</summary>
    public IEnumerable<string> Validate()
    {
        var missing = Streams.Sum(stream => stream.Missing);
        if (missing > 0)
            yield return $"{missing} acks or pushes never arrived.";
        if (OutOfOrder > 0)
            yield return $"{OutOfOrder} acks or pushes were reordered or lost.";
        if (Duplicates > 0)
            yield return $"{Duplicates} acks or pushes were duplicates.";
        if (Misdelivered > 0)
            yield return $"{Misdelivered} messages were misdelivered.";
        if (Error is not null)
            yield return $"The server sent {Frames(FrameKind.Error)} errors, first: {Error}";
    }
}
