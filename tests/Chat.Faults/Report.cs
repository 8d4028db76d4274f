using System.Globalization;
using System.Text.Json;
using Chat.Invariants;

namespace Chat.Faults;

/// <summary>The outcome of one experiment.</summary>
internal sealed record Outcome
{
    private static readonly JsonSerializerOptions Readable =
        new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public required string Name { get; init; }

    public required int Seed { get; init; }

    /// <summary>Why it could not run here; null if it did.</summary>
    public string? Skipped { get; init; }

    /// <summary>Violations.</summary>
    public required IReadOnlyList<string> Findings { get; init; }

    /// <summary>Additional measurements.</summary>
    public required IReadOnlyDictionary<string, string> Notes { get; init; }

    public required Figures Figures { get; init; }

    public required double Seconds { get; init; }

    public bool IsOk => Findings.Count == 0;

    public static void Head() =>
        Console.WriteLine(
            $"{"experiment",-26} {"",-7} {"sent",8} {"acked",8} {"delivered",9} {"repeated",8} {"recover",9} {"p99",9} {"latest",9} {"took",7}");

    public void Write()
    {
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{Name,-26} {(Skipped is not null ? "skipped" : IsOk ? "ok" : "FAILED"),-7} {Figures.Sent,8} {Figures.Acknowledged,8} {Figures.Delivered,9} {Figures.Repeated,8} {Short(Figures.RecoverySeconds),9} {Short(Figures.DeliveryP99Seconds),9} {Short(Figures.LatestDeliverySeconds),9} {Seconds,6:0}s"));
        if (Notes.Count > 0)
            Console.WriteLine($"    {string.Join(", ", Notes.Select(note => $"{note.Key} {note.Value}"))}");
        if (Skipped is not null)
            Console.WriteLine($"    {Skipped}");
        const int Shown = 8;
        foreach (var finding in Findings.Take(Shown))
            Console.WriteLine($"    - {finding}");
        if (Findings.Count > Shown)
            Console.WriteLine($"    and {Findings.Count - Shown} more");
    }

    public static async Task SaveAsync(string file, Figures total, IReadOnlyList<Outcome> outcomes) =>
        await File.WriteAllTextAsync(file, JsonSerializer.Serialize(new { total, experiments = outcomes }, Readable));

    private static string Short(double? seconds) =>
        seconds is { } known ? string.Create(CultureInfo.InvariantCulture, $"{known:0.00}s") : "";
}

/// <summary>The measurements of an experiment.</summary>
internal sealed record Figures
{
    /// <summary>Distinct messages that users tried to send.</summary>
    public int Sent { get; init; }

    /// <summary>Acknowledged messages.</summary>
    public int Acknowledged { get; init; }

    /// <summary>Arrivals on devices other than the sending one.</summary>
    public int Delivered { get; init; }

    /// <summary>Attempts beyond the first.</summary>
    public int Repeated { get; init; }

    /// <summary>Acknowledged messages missing in the history of a member.</summary>
    public int Lost { get; init; }

    /// <summary>Messages stored more than once under one tempId or delivered to one connection more than once.</summary>
    public int Doubled { get; init; }

    /// <summary>From the end of the fault until 95 of 100 devices had a reply again.</summary>
    public double? RecoverySeconds { get; init; }

    /// <summary>From the sender's ack to the arrival on another device that was or came online.</summary>
    public double? DeliveryP99Seconds { get; init; }

    /// <summary>The maximum of these.</summary>
    public double? LatestDeliverySeconds { get; init; }

    /// <summary>The maximum, counted from the end of a fault that lay between the two.</summary>
    public double? LatestBeyondFaultsSeconds { get; init; }

    /// <summary>Adds up the counts and takes the worst of the latencies.</summary>
    public static Figures operator +(Figures one, Figures other) => new()
    {
        Sent = one.Sent + other.Sent,
        Acknowledged = one.Acknowledged + other.Acknowledged,
        Delivered = one.Delivered + other.Delivered,
        Repeated = one.Repeated + other.Repeated,
        Lost = one.Lost + other.Lost,
        Doubled = one.Doubled + other.Doubled,
        RecoverySeconds = Worse(one.RecoverySeconds, other.RecoverySeconds),
        DeliveryP99Seconds = Worse(one.DeliveryP99Seconds, other.DeliveryP99Seconds),
        LatestDeliverySeconds = Worse(one.LatestDeliverySeconds, other.LatestDeliverySeconds),
        LatestBeyondFaultsSeconds = Worse(one.LatestBeyondFaultsSeconds, other.LatestBeyondFaultsSeconds),
    };

    /// <summary>Measures a load.</summary>
    public static Figures Of(Load load, History history, TimeSpan? healed, IReadOnlyList<(TimeSpan From, TimeSpan To)> faults)
    {
        var said = load.Devices.SelectMany(device => device.Said.Select(saying => (Device: device, Saying: saying))).ToArray();
        var (lags, lagsBeyond) = (new List<double>(), new List<double>());
        var delivered = 0;
        var acked = said.Where(one => one.Saying.MessageId is not null).ToDictionary(one => one.Saying.MessageId!.Value);
        foreach (var device in load.Devices)
        {
            foreach (var (id, at) in device.Arrivals)
            {
                if (!acked.TryGetValue(id, out var one) || one.Device == device)
                    continue;
                delivered++;
                var sent = one.Saying.Acked!.Value;
                lags.Add(Math.Max(0, (at - sent).TotalSeconds));
                var free = faults.Where(fault => fault.From < at && fault.To > sent).Select(fault => fault.To).Append(sent).Max();
                lagsBeyond.Add(Math.Max(0, (at - free).TotalSeconds));
            }
        }

        lags.Sort();
        var back = healed is null ? [] : load.Devices
            .Select(device => device.Said.Where(saying => saying.Acked > healed)
            .Select(saying => (saying.Acked!.Value - healed.Value).TotalSeconds).DefaultIfEmpty(double.NaN).Min())
            .Where(double.IsFinite).Order().ToArray();
        return new Figures
        {
            Sent = said.Length,
            Acknowledged = acked.Count,
            Delivered = delivered,
            Repeated = history.Operations.Count(operation => operation.Request == Request.Send) - said.Length,
            Lost = LostIn(history),
            Doubled = DoubledIn(history),
            RecoverySeconds = back.Length == 0 ? null : back[(int)(0.95 * (back.Length - 1))],
            DeliveryP99Seconds = lags.Count == 0 ? null : lags[(int)(0.99 * (lags.Count - 1))],
            LatestDeliverySeconds = lags.Count == 0 ? null : lags[^1],
            LatestBeyondFaultsSeconds = lagsBeyond.Count == 0 ? null : lagsBeyond.Max(),
        };
    }

    private static int LostIn(History history)
    {
        var views = history.Views.ToLookup(view => view.UserId);
        var acked = history.Operations.Select(send => send.Acked).OfType<Message>().Select(message => (message.ConversationId, message.Id))
            .ToHashSet();
        var lost = new HashSet<Guid>();
        foreach (var conversation in history.Conversations)
        {
            var own = acked.Where(message => message.ConversationId == conversation.Id).Select(message => message.Id).ToArray();
            foreach (var view in conversation.Members.SelectMany(member => views[member]))
            {
                var there = view.Messages.GetValueOrDefault(conversation.Id, []).Select(message => message.Id).ToHashSet();
                lost.UnionWith(own.Where(id => !there.Contains(id)));
            }
        }

        return lost.Count;
    }

    private static int DoubledIn(History history)
    {
        // Only the sender sees the tempId.
        var stored = history.Views.SelectMany(view => view.Messages.Values, (view, messages) => (view, messages))
            .SelectMany(own => own.messages.Where(message => message.SenderId == own.view.UserId && message.TempId is not null)
            .GroupBy(message => message.TempId))
            .Where(same => same.Count() > 1)
            .Select(same => same.First().Id);
        var brought = history.Connections
            .SelectMany(connection => connection.Frames.Where(frame => frame.Type == "message.new").GroupBy(frame => frame.Message!.Id))
            .Where(same => same.Count() > 1)
            .Select(same => same.Key);
        return stored.Concat(brought).Distinct().Count();
    }

    private static double? Worse(double? one, double? other) =>
        one is null ? other : other is null ? one : Math.Max(one.Value, other.Value);
}
