namespace Chat.Invariants;

/// <summary>
/// Tells when two users were blocked. Requests take time, so a block has an interval in which it certainly was in force
/// and a longer one in which it may have been.
/// </summary>
internal static class BlockTimeline
{
    /// <summary>
    /// Returns the intervals in which the two users were certainly blocked: from the ack of a block to the start of the
    /// request that may have ended it. A concurrent unblock may have been executed after the block, which leaves no
    /// certain interval; an unblock that was never answered may be executed at any time.
    /// </summary>
    public static IEnumerable<(TimeSpan From, TimeSpan To)> CertainIntervals(History history, Guid first, Guid second)
    {
        foreach (var block in Blocks(history, first, second).Where(block => block.Response is { IsError: false }))
        {
            var end = Unblocks(history, block).Where(unblock => unblock.Response is null || unblock.Response.At > block.Start)
                .Select(unblock => unblock.Start).DefaultIfEmpty(TimeSpan.MaxValue).Min();
            if (end > block.Response!.At)
                yield return (block.Response.At, end);
        }
    }

    /// <summary>Returns whether a block may have been in force at any time since a moment.</summary>
    public static bool MayBeBlockedSince(History history, Guid first, Guid second, TimeSpan since) =>
        Blocks(history, first, second).Any(block =>
        !Unblocks(history, block).Any(unblock => unblock.Response is { IsError: false } && block.Response is not null
            && unblock.Start > block.Response.At && unblock.Response.At < since));

    /// <summary>Returns the times at which a block may have started, or ended.</summary>
    public static IEnumerable<TimeSpan> PossibleChanges(History history, Guid first, Guid second, bool isEnd) =>
        Blocks(history, first, second)
        .SelectMany(block => isEnd ? Unblocks(history, block) : [block])
        .Distinct()
        .Select(change => change.Start);

    /// <summary>Returns whether either user blocks the other in the final state.</summary>
    public static bool IsBlockedAtEnd(History history, Guid first, Guid second) =>
        history.Views.Any(
            view => (view.UserId == first && view.Blocks.Contains(second)) || (view.UserId == second && view.Blocks.Contains(first)));

    private static IEnumerable<Operation> Blocks(History history, Guid first, Guid second) => history.Operations.Where(block =>
        block.Request == Request.Block
            && ((block.UserId == first && block.Other == second) || (block.UserId == second && block.Other == first)));

    private static IEnumerable<Operation> Unblocks(History history, Operation block) =>
        history.Operations.Where(
            unblock => unblock.Request == Request.Unblock && unblock.UserId == block.UserId && unblock.Other == block.Other);
}
