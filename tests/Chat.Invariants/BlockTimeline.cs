namespace Chat.Invariants;

/// <summary>When there was a block between two people. Requests take time, so there is a certain part and a possible one.</summary>
internal static class BlockTimeline
{
    /// <summary>
    /// The times in which there was certainly a block between two people: from the ack of a block to the beginning of
    /// the request that may have ended it. A request that was under way at the same time may have been carried out
    /// after it, so then nothing is certain; one that was never answered may be carried out at any time.
    /// </summary>
    public static IEnumerable<(TimeSpan From, TimeSpan To)> CertainIntervals(History history, Guid one, Guid other)
    {
        foreach (var block in Blocks(history, one, other).Where(block => block.Response is { IsError: false }))
        {
            var ends = Unblocks(history, block).Where(end => end.Response is null || end.Response.At > block.Start).Select(end => end.Start).DefaultIfEmpty(TimeSpan.MaxValue).Min();
            if (ends > block.Response!.At)
                yield return (block.Response.At, ends);
        }
    }

    /// <summary>Whether there may have been a block at any time from a moment on.</summary>
    public static bool MayBeBlockedSince(History history, Guid one, Guid other, TimeSpan moment) => Blocks(history, one, other).Any(block =>
        !Unblocks(history, block).Any(end => end.Response is { IsError: false } && block.Response is not null && end.Start > block.Response.At && end.Response.At < moment));

    /// <summary>When a block may have begun, or ended.</summary>
    public static IEnumerable<TimeSpan> PossibleChanges(History history, Guid one, Guid other, bool isEnd) => Blocks(history, one, other)
        .SelectMany(block => isEnd ? Unblocks(history, block) : [block])
        .Distinct()
        .Select(change => change.Start);

    /// <summary>Whether there is a block when all has settled.</summary>
    public static bool IsBlockedAtEnd(History history, Guid one, Guid other) =>
        history.Views.Any(view => (view.UserId == one && view.Blocks.Contains(other)) || (view.UserId == other && view.Blocks.Contains(one)));

    private static IEnumerable<Operation> Blocks(History history, Guid one, Guid other) => history.Operations.Where(block =>
        block.Request == Request.Block && ((block.UserId == one && block.Other == other) || (block.UserId == other && block.Other == one)));

    private static IEnumerable<Operation> Unblocks(History history, Operation block) =>
        history.Operations.Where(end => end.Request == Request.Unblock && end.UserId == block.UserId && end.Other == block.Other);
}
