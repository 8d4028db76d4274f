namespace Chat.Invariants;

/// <summary>A promise that was broken, in words for whoever has to find out why.</summary>
public sealed record Violation(string Invariant, string What)
{
    public override string ToString() => $"{Invariant}: {What}";
}

/// <summary>One promise of the server's, and what finds the places in a history where it was broken.</summary>
public sealed record Invariant(string Name, string Promise, Func<History, IEnumerable<string>> Check)
{
    /// <summary>Everything that a history can show.</summary>
    public static IReadOnlyList<Invariant> All { get; } =
    [
        new("I1", "every acknowledged send is in the history of every member", StorageChecks.AcknowledgedIsStored),
        new("I2", "each tempId is there at most once", StorageChecks.NoDuplicates),
        new("I3", "nothing is there that nobody sent", StorageChecks.EveryMessageWasSent),
        new("I4", "the numbers of a conversation are 1..n without holes", StorageChecks.SequenceHasNoGaps),
        new("I5", "all devices see the same order", OrderingChecks.SameOrderEverywhere),
        new("I6", "two acknowledged sends of one connection keep their order", OrderingChecks.SendsKeepOrder),
        new("I7", "every device that ends online has everything, and no connection gets a number twice", DeliveryChecks.DeliveredExactlyOnce),
        new("I8", "the ack tells the truth, and a repeat gets the same", AckChecks.AcksAreTruthful),
        new("I9", "after the ack the sender's own GET shows it, on any node", AckChecks.ReadYourWrites),
        new("I10", "unread equals the count from the cursors, in every place that shows it; a cursor never goes back", UnreadChecks.UnreadMatchesCursors),
        new("I11", "presence converges; one transition a real change", PresenceChecks.PresenceConverges),
        new("I12", "the events turn an old snapshot into the fresh one", ReplayChecks.ReplayMatchesSnapshot),
        new("I13", "no event reaches a non-member, a blocked or an expired user", PrivacyChecks.NoUnauthorizedDelivery),
        new("I14", "afterwards nothing is left", LeakChecks.NothingLeaks),
        new("I15", "every send is answered, yes or no, within five seconds, or its socket is closed", ResponseTimeChecks.AnsweredInTime),
    ];

    /// <summary>Every place in the history where a promise was broken.</summary>
    public static IReadOnlyList<Violation> FindViolations(History history) =>
        [.. All.SelectMany(invariant => invariant.Check(history).Select(what => new Violation(invariant.Name, what)))];
}
