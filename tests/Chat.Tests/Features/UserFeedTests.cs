using System.Diagnostics.Metrics;
using Chat.Features;
using Chat.RateLimiting;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tests.Fixtures;
using Chat.Tokens;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace Chat.Tests.Features;

/// <summary>A single feed with a real connection on a fake socket.</summary>
public sealed class UserFeedTests : IDisposable
{
    // More than fits a send queue, and the number of changes after which it is at most half full: each is three frames.
    private const int Far = 2000;
    private const int HalfFull = 43;

    private static readonly DatabaseSnapshot nothing = new(0, []);

    private readonly Guid conversation = Guid.NewGuid();
    private readonly Guid other = Guid.NewGuid();
    private readonly FakeTimeProvider clock = new();
    private readonly Hub hub = new();
    private readonly ServiceProvider meters = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly FakeWebSocket socket = new();
    private readonly Connection connection;
    private readonly UserFeed feed;
    private readonly Guid me = Guid.NewGuid();

    public UserFeedTests()
    {
        connection = Join(socket);
        feed = new UserFeed(me, hub, new LocalMembers(), clock);
    }

    public void Dispose()
    {
        socket.Dispose();
        meters.Dispose();
    }

    [Fact]
    public async Task Changes_in_order_are_delivered_at_once()
    {
        feed.Load([], nothing);

        Assert.True(Offer(1));
        Assert.True(Offer(2));

        Assert.Equal([1, 2], await Delivered());
        Assert.Equal([(1, 1), (2, 2)], await Unread());
    }

    [Fact]
    public async Task An_early_change_is_buffered_until_the_gap_is_filled()
    {
        feed.Load([], nothing);

        Assert.False(Offer(3));
        Assert.False(Offer(2));
        Assert.Empty(await Delivered());
        Assert.Equal([(conversation, 0, 1, true)], feed.Gaps());

        Assert.True(Offer(1));
        Assert.Equal([1, 2, 3], await Delivered());
        Assert.Empty(feed.Gaps());
    }

    [Fact]
    public async Task Duplicates_are_dropped()
    {
        feed.Load([], nothing);
        foreach (var number in new[] { 1, 1, 3, 3, 2, 1, 2, 3 })
            Offer(number);

        Assert.Equal([1, 2, 3], await Delivered());
        Assert.Equal([(1, 1), (2, 2), (3, 3)], await Unread());
    }

    [Fact]
    public async Task Changes_in_any_order_with_duplicates_are_delivered_once_and_in_order()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            using var test = new UserFeedTests();
            var random = new Random(seed);
            var start = random.Next(4);
            test.feed.Load([Row(test.conversation, start, 0, start)], nothing);
            var offers = Enumerable.Range(1, start + 12).SelectMany(number => Enumerable.Repeat(number, random.Next(1, 4))).ToArray();
            random.Shuffle(offers);
            var isSender = Enumerable.Range(0, start + 13).Select(_ => random.Next(3) == 0).ToArray();

            foreach (var number in offers)
                test.Offer(number, isSender[number] ? test.me : test.other);

            Assert.Equal(Enumerable.Range(start + 1, 12).Select(number => (long)number), await test.Delivered());
            var unread = start + Enumerable.Range(start + 1, 12).Count(number => !isSender[number]);
            Assert.Equal((unread, unread), (await test.Unread()).LastOrDefault((start, start)));
        }
    }

    [Fact]
    public async Task Changes_wait_until_the_positions_are_loaded()
    {
        Assert.True(Offer(4));
        Assert.True(Offer(3));
        Assert.False(feed.IsLoaded);
        Assert.Empty(await Delivered());

        // The snapshot includes 3 but not 4; both arrived after the feed was created, so both must be delivered.
        feed.Load([Row(conversation, 3, 1, 2)], nothing);

        Assert.True(feed.IsLoaded);
        Assert.Equal([3, 4], await Delivered());
        Assert.Equal([(2, 2), (3, 3)], await Unread());
    }

    [Fact]
    public async Task Loading_twice_has_no_effect()
    {
        feed.Load([Row(conversation, 3, 1, 2)], nothing);
        feed.Load([Row(conversation, 9, 1, 8)], nothing);

        Offer(4);

        Assert.Equal([4], await Delivered());
        Assert.Equal([(3, 3)], await Unread());
    }

    [Fact]
    public async Task Own_messages_are_delivered_and_not_counted()
    {
        feed.Load([], nothing);
        Offer(1, me);
        Offer(2);
        Offer(3, me);

        Assert.Equal([1, 2, 3], await Delivered());
        Assert.Equal([(1, 1)], await Unread());
    }

    [Fact]
    public async Task Conversations_do_not_block_each_other()
    {
        var second = Guid.NewGuid();
        feed.Load([Row(second, 7, 7, 0)], nothing);

        Assert.False(Offer(2));
        Assert.True(Offer(8, within: second));

        Assert.Equal([8], await Delivered());
    }

    [Fact]
    public async Task Fetched_changes_are_delivered_at_once()
    {
        feed.Load([], nothing);
        Assert.False(Offer(4));
        feed.Fill(conversation, [.. Numbers(1, 3).Select(number => Message(number, other))]);

        Assert.Equal(Numbers(1, 4), await Delivered());
    }

    [Fact]
    public async Task A_backlog_of_any_size_is_released_as_fast_as_it_is_read()
    {
        feed.Load([], nothing);
        for (var number = 2; number <= Far; number++)
            Assert.False(Offer(number));

        // The clock does not advance: a reader needs no time.
        Assert.True(Offer(1));

        await AllIsDelivered();
        Assert.Equal((Far, Far), (await Unread())[^1]);
        Assert.Empty(feed.Gaps());
    }

    [Fact]
    public async Task A_slow_reader_is_not_closed_for_buffered_changes()
    {
        var reading = await StopReading();
        feed.Load([], nothing);

        feed.Fill(conversation, [.. Numbers(1, Far).Select(number => Message(number, other))]);
        for (var tick = 0; tick < 100; tick++)
            feed.Release(TimeSpan.FromSeconds(1));
        Assert.Equal(Framed(HalfFull), connection.QueueLength);
        // Everything has arrived: there is nothing to fetch.
        Assert.Empty(feed.Gaps());
        Assert.Equal([(conversation, Far, 0)], feed.Positions());
        reading.SetResult();

        await AllIsDelivered();
        Assert.Equal((Far, Far), (await Unread())[^1]);
    }

    [Fact]
    public async Task A_slow_device_does_not_delay_the_users_other_device()
    {
        using var second = new FakeWebSocket();
        var reading = Join(second);
        await StopReading();
        feed.Load([], nothing);

        feed.Fill(conversation, [.. Numbers(1, Far).Select(number => Message(number, other))]);
        Assert.Equal(Numbers(1, HalfFull), await DeliveredTo(second, reading));
        feed.Release(TimeSpan.FromSeconds(1));
        Assert.Equal(Numbers(1, HalfFull + ConversationFeed.MaxReleasedAtOnce), await DeliveredTo(second, reading));
        // More than fits the slow one's queue: it is closed and no longer holds up the other.
        feed.Release(TimeSpan.FromSeconds(1));

        await AllIsDelivered(second, reading);
    }

    [Fact]
    public async Task A_backlog_shrinks_with_every_live_change()
    {
        const int Waiting = 20;
        var reading = await StopReading();
        feed.Load([], nothing);
        feed.Fill(conversation, [.. Numbers(1, HalfFull + Waiting).Select(number => Message(number, other))]);

        var live = Numbers(HalfFull + Waiting + 1, Waiting).ToArray();
        foreach (var number in live)
        {
            Assert.Equal(number == live[^1], Offer(number));
            Assert.Equal(Framed(HalfFull + (2 * (int)(number - live[0] + 1))), connection.QueueLength);
        }

        reading.SetResult();
        Assert.Equal(Numbers(1, (int)live[^1]), await Delivered());
    }

    [Fact]
    public async Task A_gap_behind_a_backlog_is_reported_after_the_backlog_drains()
    {
        var reading = await StopReading();
        feed.Load([], nothing);
        feed.Fill(conversation, [.. Numbers(1, Far).Select(number => Message(number, other))]);
        Assert.False(Offer(Far + 3));

        Assert.Empty(feed.Gaps());
        Assert.Equal([(conversation, Far + 3, 0)], feed.Positions());
        reading.SetResult();
        await Eventually.Until("its turn has come", () => feed.Gaps().Count > 0);
        Assert.Equal([(conversation, Far, Far + 2, true)], feed.Gaps());
        Assert.Equal(2, feed.Fill(conversation, [Message(Far + 1, other), Message(Far + 2, other)]));

        Assert.Equal(Numbers(1, Far + 3), await Delivered());
    }

    [Fact]
    public async Task A_change_marked_missing_is_reported_like_a_visible_gap()
    {
        feed.Load([], nothing);
        Offer(1);
        feed.MarkMissing(conversation, 4);

        Assert.Equal([(conversation, 4, 0)], feed.Positions());
        Assert.Equal([(conversation, 1, 4, false)], feed.Gaps());
        Assert.False(Offer(4));
        Assert.Equal([(conversation, 1, 3, true)], feed.Gaps());
        Offer(2);
        // Changes that arrived in the meantime are not counted as found.
        Assert.Equal(1, feed.Fill(conversation, [Message(2, other), Message(3, other), Message(4, other)]));

        Assert.Empty(feed.Gaps());
        Assert.Equal(Numbers(1, 4), await Delivered());
    }

    [Fact]
    public void A_send_is_not_delayed_when_its_message_is_found_first()
    {
        feed.Load([], nothing);
        var sent = Message(2, me);
        var reply = ReplyTo(sent);
        Assert.False(feed.Offer(new Change(sent)));
        Assert.False(feed.Offer(new Change(sent), reply));

        clock.Advance(TimeSpan.FromSeconds(1));
        feed.Release(TimeSpan.FromSeconds(1));

        Assert.True(reply.Sent.IsCompleted);
    }

    [Fact]
    public async Task A_reply_is_sent_at_its_changes_position()
    {
        feed.Load([], nothing);
        var sent = Message(2, me);
        var reply = ReplyTo(sent);

        Assert.False(feed.Offer(new Change(sent), reply));
        Assert.False(reply.Sent.IsCompleted);
        Offer(1);

        Assert.True(reply.Sent.IsCompleted);
        Assert.Equal(
            ["message.new", "conversation.updated", "notification.unread", "message.sent", "conversation.updated"],
            (await Frames()).Select(frame => frame.Type));
    }

    [Fact]
    public async Task A_held_reply_is_released_after_the_limit_and_not_sent_twice()
    {
        feed.Load([], nothing);
        var sent = Message(2, me);
        var reply = ReplyTo(sent);
        feed.Offer(new Change(sent), reply);

        clock.Advance(TimeSpan.FromSeconds(0.9));
        feed.Release(TimeSpan.FromSeconds(1));
        Assert.False(reply.Sent.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(0.1));
        feed.Release(TimeSpan.FromSeconds(1));
        Assert.True(reply.Sent.IsCompleted);
        Offer(1);

        Assert.Single(await Frames(), frame => frame.Type == "message.sent");
        Assert.Equal([1], await Delivered());
    }

    [Fact]
    public async Task A_reply_to_a_delivered_change_is_sent_at_once()
    {
        feed.Load([Row(conversation, 5, 5, 0)], nothing);
        var sent = Message(2, me);

        Assert.True(feed.Offer(new Change(sent), ReplyTo(sent)));

        Assert.Equal(["message.sent"], (await Frames()).Select(frame => frame.Type));
    }

    [Fact]
    public async Task A_message_found_before_its_log_confirms_it_answers_the_send()
    {
        feed.Load([], nothing);
        var sent = Message(1, me);
        var reply = ReplyTo(sent);
        feed.Expect(conversation, reply);

        Assert.True(feed.Offer(new Change(sent)));
        Assert.True(reply.Sent.IsCompleted);
        Assert.False(reply.TryWithdraw());
        Assert.True(feed.Offer(new Change(sent), reply));

        Assert.Equal(["message.sent", "conversation.updated"], (await Frames()).Select(frame => frame.Type));
    }

    [Fact]
    public async Task A_message_found_after_its_send_was_rejected_is_delivered_as_a_regular_change()
    {
        feed.Load([], nothing);
        var sent = Message(1, me);
        var reply = ReplyTo(sent);
        feed.Expect(conversation, reply);

        Assert.True(reply.TryWithdraw());
        feed.Offer(new Change(sent));

        Assert.Equal(["message.new", "conversation.updated"], (await Frames()).Select(frame => frame.Type));
    }

    [Fact]
    public async Task A_recount_applies_the_snapshot_and_adds_later_deliveries()
    {
        feed.Load([Row(conversation, 3, 0, 3)], nothing);

        feed.BeginRecount(conversation);
        Offer(4);
        Offer(5);
        // Counted when 4 was committed and 5 was not: the cursor is at 2.
        Assert.Equal((3, 3), feed.EndRecount(conversation, Row(conversation, 4, 2, 2)));
        Offer(6);

        Assert.Equal([(4, 4), (5, 5), (4, 4)], await Unread());
    }

    [Fact]
    public async Task A_message_counted_by_the_snapshot_is_not_counted_again_on_arrival()
    {
        feed.Load([Row(conversation, 3, 0, 3)], nothing);

        feed.BeginRecount(conversation);
        Assert.Equal((2, 2), feed.EndRecount(conversation, Row(conversation, 5, 3, 2)));
        Offer(4);
        Offer(5);
        Offer(6);

        Assert.Equal([(2, 2), (2, 2), (3, 3)], await Unread());
    }

    [Fact]
    public void A_stale_snapshot_is_ignored()
    {
        feed.Load([Row(conversation, 5, 0, 5)], nothing);

        feed.BeginRecount(conversation);
        feed.BeginRecount(conversation);
        Assert.Equal((1, 1), feed.EndRecount(conversation, Row(conversation, 5, 4, 1)));
        Assert.Equal((1, 1), feed.EndRecount(conversation, Row(conversation, 5, 2, 3)));
        Assert.Equal([(conversation, 5, 4)], feed.Positions());
    }

    [Fact]
    public void The_total_covers_all_conversations()
    {
        var second = Guid.NewGuid();
        feed.Load([Row(conversation, 5, 0, 5), Row(second, 2, 0, 2)], nothing);

        feed.BeginRecount(conversation);
        Assert.Equal((0, 2), feed.EndRecount(conversation, Row(conversation, 5, 5, 0)));
        feed.BeginRecount(second);
        Assert.Equal((2, 2), feed.EndRecount(second, snapshot: null));
    }

    [Fact]
    public async Task A_recount_running_while_the_positions_are_loaded_counts_nothing_twice()
    {
        var second = Guid.NewGuid();

        feed.BeginRecount(conversation);
        feed.Load([Row(conversation, 5, 2, 3), Row(second, 1, 0, 1)], nothing);
        Assert.Equal((0, 1), feed.EndRecount(conversation, Row(conversation, 5, 5, 0)));
        Offer(6);

        Assert.Equal([(1, 2)], await Unread());
    }

    [Fact]
    public async Task A_recount_that_ends_before_the_positions_are_loaded_counts_nothing_twice()
    {
        feed.BeginRecount(conversation);
        feed.EndRecount(conversation, Row(conversation, 5, 2, 3));
        feed.Load([Row(conversation, 5, 2, 3)], nothing);
        Offer(6);

        Assert.Equal([(4, 4)], await Unread());
    }

    [Fact]
    public void Of_two_concurrent_recounts_the_newer_snapshot_wins()
    {
        feed.Load([Row(conversation, 3, 0, 3)], nothing);
        feed.BeginRecount(conversation);
        feed.BeginRecount(conversation);
        feed.EndRecount(conversation, Row(conversation, 5, 2, 3));
        Offer(4);
        Offer(5);

        // The slower snapshot has the same cursor but lacks the messages.
        Assert.Equal((3, 3), feed.EndRecount(conversation, Row(conversation, 3, 2, 1)));
    }

    [Fact]
    public async Task A_recount_is_ordered_with_deliveries()
    {
        feed.Load([Row(conversation, 5, 2, 3)], nothing);
        using var telling = new ManualResetEventSlim();
        using var offered = new ManualResetEventSlim();
        feed.BeginRecount(conversation);
        var recount = Task.Run(() => feed.EndRecount(conversation, Row(conversation, 5, 5, 0), (unread, total) =>
        {
            telling.Set();
            // A concurrent delivery must wait: a count of one must not be sent before the count of zero.
            Assert.False(offered.Wait(TimeSpan.FromMilliseconds(50)));
            connection.Send(Frame.Of(new NotificationUnread(conversation, unread, total)));
        }));
        telling.Wait();
        Offer(6);
        offered.Set();
        await recount;

        Assert.Equal([(0, 0), (1, 1)], await Unread());
    }

    private Connection Join(FakeWebSocket fake)
    {
        var limits = new Limits();
        var metrics = new ServerMetrics(meters.GetRequiredService<IMeterFactory>());
        var place = new Admission(hub, limits, new HandshakeRateLimiter(limits, clock), metrics, clock).TryEnter(
            System.Net.IPAddress.None, hasToken: true);
        var joined = new Connection(
            fake, new Transport(new HttpRequestLifetimeFeature()), limits, metrics, clock, new ActivityTracker(clock), place);
        joined.TrySignIn(new TokenReadResult(new Identity(me, null, null, null), clock.GetUtcNow(), DateTimeOffset.MaxValue, null));
        hub.Add(joined);
        hub.Join(joined);
        return joined;
    }

    /// <summary>Blocks the socket's writes until the other side reads again.</summary>
    private async Task<TaskCompletionSource> StopReading()
    {
        var reading = new TaskCompletionSource();
        socket.Reading = reading.Task;
        // The write in progress.
        await Frames();
        return reading;
    }

    private static int Framed(int changes) => 3 * changes;

    private Task AllIsDelivered() => AllIsDelivered(socket, connection);

    private static async Task AllIsDelivered(FakeWebSocket fake, Connection over)
    {
        await Eventually.UntilNoError(async () =>
            await DeliveredTo(fake, over) is { Count: < Far and var count } ? $"{count} of {Far}" : null, TimeSpan.FromSeconds(15));
        Assert.Equal(Numbers(1, Far), await DeliveredTo(fake, over));
    }

    private static IEnumerable<long> Numbers(int first, int count) => Enumerable.Range(first, count).Select(number => (long)number);

    private static MemberPosition Row(Guid conversation, long seq, long readUpTo, long unread) =>
        new(conversation, seq, readUpTo, unread);

    private bool Offer(long number, Guid? sender = null, Guid? within = null) =>
        feed.Offer(new Change(Message(number, sender ?? other, within)));

    private PendingReply ReplyTo(Message message) => new(connection, message.Id, change => change.Answer<MessageSent>("q1"));

    private Message Message(long number, Guid sender, Guid? within = null) => new()
    {
        Id = Guid.NewGuid(),
        ConversationId = within ?? conversation,
        Seq = number,
        ChangedSeq = number,
        SenderId = sender,
        Type = "text",
        Content = $"m{number}",
        SentAt = DateTimeOffset.UnixEpoch,
    };

    private Task<IReadOnlyList<long>> Delivered() => DeliveredTo(socket, connection);

    private static async Task<IReadOnlyList<long>> DeliveredTo(FakeWebSocket fake, Connection over) =>
        [.. (await Frames(fake, over)).Where(frame => frame.Type == "message.new").Select(frame => frame["message.seq"].GetInt64())];

    private async Task<IReadOnlyList<(long Unread, long Total)>> Unread() =>
        [.. (await Frames()).Where(frame => frame.Type == "notification.unread")
            .Select(frame => (frame["unread"].GetInt64(), frame["totalUnread"].GetInt64()))];

    private Task<IReadOnlyList<Received>> Frames() => Frames(socket, connection);

    // A marker shows that everything before it has been written.
    private static async Task<IReadOnlyList<Received>> Frames(FakeWebSocket fake, Connection over)
    {
        var marker = $"marker {Guid.NewGuid()}";
        over.Send(Frame.Of(ChatError.Internal, marker));
        return [.. (await fake.Until(marker)).Where(frame => frame.Type != "error")];
    }
}
