namespace Chat.Invariants;

/// <summary>A violated invariant, with a description for diagnosis.</summary>
public sealed record Violation(string Invariant, string What)
{
    public override string ToString() => $"{Invariant}: {What}";
}

/// <summary>A guarantee of the server, and the check that finds its violations in a history.</summary>
public sealed record Invariant(string Name, string Promise, Func<History, IEnumerable<string>> Check)
{
    /// <summary>All invariants that can be checked on a history.</summary>
    public static IReadOnlyList<Invariant> All { get; } =
    [
        new("I1", "every acknowledged send is in the history of every member", StorageChecks.AcknowledgedIsStored),
        new("I2", "each tempId is stored at most once", StorageChecks.NoDuplicates),
        new("I3", "every stored message was sent", StorageChecks.EveryMessageWasSent),
        new("I4", "the sequence numbers of a conversation are 1..n without gaps", StorageChecks.SequenceHasNoGaps),
        new("I5", "all devices see the same order", OrderingChecks.SameOrderEverywhere),
        new("I6", "two acknowledged sends of one connection keep their order", OrderingChecks.SendsKeepOrder),
        new("I7", "every device that is online at the end has every message, and no connection receives one twice",
        DeliveryChecks.DeliveredExactlyOnce),
        new("I8", "acks are truthful, and a retry gets the same ack", AckChecks.AcksAreTruthful),
        new("I9", "after the ack the sender's own GET returns the message, on any node", AckChecks.ReadYourWrites),
        new("I10", "unread counts equal the count from the cursors everywhere, and cursors never regress",
        UnreadChecks.UnreadMatchesCursors),
        new("I11", "presence converges; each transition is reported at most once", PresenceChecks.PresenceConverges),
        new("I12", "replaying the events on an old snapshot gives the current one", ReplayChecks.ReplayMatchesSnapshot),
        new("I13", "no event reaches a non-member, a blocked user or an expired connection", PrivacyChecks.NoUnauthorizedDelivery),
        new("I14", "no resources leak", LeakChecks.NothingLeaks),
        new("I15", "every send is answered within five seconds, or its socket is closed", ResponseTimeChecks.AnsweredInTime),
    ];

    /// <summary>Returns every violation in a history.</summary>
    public static IReadOnlyList<Violation> FindViolations(History history) =>
        [.. All.SelectMany(invariant => invariant.Check(history).Select(what => new Violation(invariant.Name, what)))];
}
