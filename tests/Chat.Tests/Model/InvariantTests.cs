using Chat.Invariants;

namespace Chat.Tests.Model;

/// <summary>
/// Tests the checkers: a valid history violates nothing, and a mutated one violates exactly the invariant that the mutation
/// targets.
/// </summary>
public sealed class InvariantTests
{
    private static readonly Dictionary<string, Action<HistoryBuilder>> Valid = new()
    {
        ["nothing happens"] = _ => { },
        ["an unanswered message is stored"] = story => story.Send("alice", "A1", Ab(story), "lost ack", "u1", isAnswered: false),
        ["an unanswered message is not stored"] =
            story => story.Send("alice", "A1", Ab(story), "lost send", "u1", isAnswered: false, isStored: false),
        ["a rejected message is stored by a retry"] = story =>
        {
            story.Send("alice", "A1", Ab(story), "again", "u1", isStored: false);
            story.Send("alice", "A2", Ab(story), "again", "u1");
        },
        ["a retry with different content gets the original"] = story => story.Send("alice", "A2", Ab(story), "something else", "t1"),
        ["a retry on a device that already received the push, out of order"] = story =>
        {
            story.Send("alice", "A1", Ab(story), "first", "u1", isAnswered: false);
            story.Send("alice", "A2", Ab(story), "second", "u2");
            story.Send("alice", "A2", Ab(story), "first", "u1");
        },
        ["the same text sent twice deliberately"] = story =>
        {
            story.Send("alice", "A1", Ab(story), "hello");
            story.Send("alice", null, Ab(story), "hello");
        },
        ["a device disconnects and reconnects"] = story =>
        {
            story.Close("B1");
            story.Send("alice", "A1", Ab(story), "while bob is away", "u1");
            story.Open("B2", "bob");
        },
        ["a user reconnects before the disconnect is reported"] = story =>
        {
            story.Close("B1");
            story.Open("B2", "bob");
            story.Frames("A1").RemoveAll(frame => frame.Type == "user.offline");
        },
        ["a block that was removed"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Send("bob", "B1", Ab(story), "refused", "u1");
            story.Unblock("alice", "bob", "A2");
            story.Send("bob", "B1", Ab(story), "welcome", "u2");
            story.Type("bob", "B1", Ab(story));
        },
        ["a block until the end"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Send("bob", "B1", Ab(story), "refused", "u1");
            story.Read("bob", "B1", Ab(story), 4);
            story.Tick(5000);
            story.Close("B1");
        },
        ["a blocked user reconnects"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Close("B1");
            story.Tick(5000);
            story.Open("B2", "bob");
        },
        ["receipts in flight when the block's ack arrived"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Push("A1", "message.read_update", new { conversationId = Ab(story), upTo = 1, readBy = story.User("bob") });
        },
        ["a send in flight when the block's ack arrived"] = story =>
        {
            story.Send("bob", "B1", Ab(story), "just in time", "u1");
            var send = story.Operations[^1];
            story.Block("alice", "bob", "A1");
            story.Operations.Remove(send);
            story.Operations.Add(send with { Response = send.Response! with { At = story.Tick() } });
        },
        ["two blocks, the first of which was removed"] = story =>
        {
            story.Block("alice", "carol", "A1");
            story.Unblock("alice", "carol", "A1");
            story.Block("alice", "carol", "A1");
        },
        ["a token that expires"] = story =>
        {
            story.Connections["C1"] = story.Connections["C1"] with { ExpiresAt = story.Tick() };
            story.Close("C1");
        },
        ["an event in flight when the token expired"] = story =>
        {
            story.Connections["C1"] = story.Connections["C1"] with { ExpiresAt = story.Tick() };
            story.Push("C1", "typing.update", new { conversationId = Ac(story), userId = story.User("alice"), typing = true });
            story.Close("C1");
        },
        ["a message sent before a block and retried after it"] = story =>
        {
            story.Send("bob", "B1", Ab(story), "just in time", "u1", isAnswered: false);
            story.Block("alice", "bob", "A1");
            story.Send("bob", null, Ab(story), "just in time", "u1");
        },
        ["three concurrent sends, each answered in time after the previous one"] = story =>
        {
            story.Send("alice", "A1", Ab(story), "first", "u1");
            story.Send("alice", "A1", Ab(story), "second", "u2");
            story.Send("alice", "A1", Ab(story), "third", "u3");
            var (first, late) = (story.Operations[^3].Start, TimeSpan.FromSeconds(4));
            for (var i = 1; i <= 3; i++)
                story.Operations[^(4 - i)] = story.Operations[^(4 - i)] with
                {
                    Start = first + TimeSpan.FromMilliseconds(i),
                    Response = story.Operations[^(4 - i)].Response! with { At = first + (late * i) }
                };
        },
        ["a sender fetches their messages"] = story => story.Fetch("alice", Ab(story), 0),
        ["a sender fetches after their messages"] = story => story.Fetch("alice", Ab(story), 2),
        ["a page that is not the last one"] = story =>
        {
            story.Fetch("alice", Ab(story), 0);
            ReplacePage(story, messages => messages.Take(2), hasMore: true);
        },
        ["a fetch that started before the ack"] = story =>
        {
            story.Fetch("alice", Ab(story), 0);
            var fetch = story.Operations[^1];
            story.Operations.Remove(fetch);
            story.Send("alice", "A1", Ab(story), "meanwhile", "u1");
            story.Operations.Add(fetch);
        },
        ["a receipt after a block that was removed"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Unblock("alice", "bob", "A1");
            story.Close("A1");
            story.Tick();
            story.Open("A3", "alice");
            story.Read("bob", "B1", Ab(story), 3);
        },
        ["all users have disconnected"] = story => story.Residues.Add(new Residue("a", 0, 0, 0, 0)),
    };

    /// <summary>The invariant, the actions before the final views are read, and the mutation of the history.</summary>
    private static readonly Dictionary<string, (string Breaks, Action<HistoryBuilder>? Before, Action<HistoryBuilder> Mutate)> Violating =
        new()
        {
            ["an acknowledged message is lost for all members"] =
            ("I1", story => SendWithAllOffline(story, "lost", "u1"), story => RemoveFirstMessage(story, Ac(story), _ => true)),
            ["an acknowledged message is lost on one node"] = ("I1", story => SendWithAllOffline(story, "lost", "u1"),
            story => RemoveFirstMessage(story, Ac(story), view => view.Node == "b")),
            ["an acknowledged message is lost for one member"] = ("I1", story => SendWithAllOffline(story, "lost", "u1"),
            story => RemoveFirstMessage(story, Ac(story), view => view.UserId == story.User("alice"))),

            ["a retry is stored again"] = ("I2", story =>
            {
                SendWithAllOffline(story, "once", "u1");
                story.Send("alice", null, Ac(story), "once", "u2");
            }, story =>
            {
                Edit(story, Ac(story), message => message.TempId == "u2" ? message with { TempId = "u1" } : message);
                story.Operations[^1] = story.Operations[^2];
            }
            ),
            ["a message is listed twice"] = ("I2", story =>
            {
                SendWithAllOffline(story, "twice");
                story.Send("alice", null, Ac(story), "twice");
            }, story => story.Operations.RemoveAt(story.Operations.Count - 1)),

            ["a stored message that was never sent"] = ("I3", story => story.Send("carol", null, Ac(story), "ghost"),
            story => story.Operations.RemoveAll(send => send.Content == "ghost")),
            ["a stored text that was never sent"] = ("I3", story => story.Send("carol", "C1", Ac(story), "written", isAnswered: false),
            story => story.Operations[^1] = story.Operations[^1] with { Content = "meant" }),
            ["a pushed message that was never sent"] = ("I3", null, story =>
                story.Push("B1", "message.sent", new { message = HistoryBuilder.ToWire(FabricatedMessage(story), story.User("bob")) }, "q")),

            ["a gap"] = ("I4", story => SendWithAllOffline(story, "second", isAnswered: false),
            story => Edit(story, Ac(story), message => message with { Seq = 2 })),
            ["the counter is ahead of the messages"] = ("I4", story => SendWithAllOffline(story, "only one"),
            story => Edit(story, view => view.UserId == story.User("carol"), shown => shown with { Seq = 2 })),
            ["the list names an old message as the last"] = ("I4", null, story =>
                Edit(story, view => view.UserId == story.User("bob") && view.Node == "b",
                    shown => shown with { LastMessageId = story.Operations[0].Acked!.Id })),

            ["two reordered pushes"] = ("I5", null, story => Swap(story.Frames("B1"), "message.new")),
            ["two reordered updates"] = ("I5", null, story => Swap(story.Frames("A2"), "conversation.updated")),
            ["one device receives swapped sequence numbers"] = ("I5", story => story.Close("B1"), story =>
            {
                var frames = story.Frames("B1");
                var news = Enumerable.Range(0, frames.Count).Where(i => frames[i].Type == "message.new").Take(2).ToArray();
                var (one, two) = (frames[news[0]].Message!, frames[news[1]].Message!);
                frames[news[0]] = frames[news[0]] with
                {
                    Payload =
                    HistoryBuilder.Json(new { message = HistoryBuilder.ToWire(two with { Seq = one.Seq }, Guid.Empty) })
                };
                frames[news[1]] = frames[news[1]] with
                {
                    Payload =
                    HistoryBuilder.Json(new { message = HistoryBuilder.ToWire(one with { Seq = two.Seq }, Guid.Empty) })
                };
            }
            ),

            ["one device receives a different sequence number"] =
            ("I5", story => story.Close("B1"), story => ChangePush(story, message => message with { Seq = 40 })),
            ["one device receives a message with a different id"] =
            ("I5", story => story.Close("B1"), story => ChangePush(story, message => message with { Id = Guid.NewGuid() })),
            ["a device syncs a different sequence number"] = ("I5", story =>
            {
                story.Close("B1");
                story.Open("B2", "bob");
                story.Close("B2");
            }, story => story.CaughtUp("B2")[0] = story.CaughtUp("B2")[0] with { Seq = 40 }),

            ["two sends of one connection are stored in reverse order"] = ("I6", story =>
            {
                story.Send("alice", "A1", Ab(story), "earlier", "u1");
                story.Send("alice", "A1", Ab(story), "later", "u2");
            }, story => SwapStartTimes(story.Operations, "u1", "u2")),
            ["two sends without tempId are stored in reverse order"] = ("I6", story =>
            {
                story.Send("carol", "C1", Ac(story), "earlier");
                story.Send("carol", "C1", Ac(story), "later");
            }, story => SwapStartTimes(story.Operations, "earlier", "later")),

            ["a push is lost"] =
            ("I7", null, story => story.Frames("B1").RemoveAll(frame => frame.Type == "message.new" && frame.Message!.Seq == 2)),
            ["a device misses a message in its sync"] = ("I7", story =>
            {
                story.Close("B1");
                story.Open("B2", "bob");
            }, story => story.CaughtUp("B2").RemoveAll(message => message.Seq == 1)),
            ["a message is pushed twice"] = ("I7", null, story => story.Frames("B1").Insert(
                story.Frames("B1").FindIndex(frame => frame.Type == "message.new"),
                story.Frames("B1").First(frame => frame.Type == "message.new"))),
            ["the sending connection receives a push of its message"] =
            ("I7", story => story.Send("alice", "A1", Ab(story), "echo", "u1"), story =>
            story.Push("A1", "message.new", new { message = HistoryBuilder.ToWire(story.Operations[^1].Acked!, story.User("alice")) })),

            ["an ack with a wrong sequence number"] =
            ("I8", null, story => ChangeAck(story, message => message with { Seq = message.Seq + 1 })),
            ["an ack with a wrong time"] = ("I8", null, story => ChangeAck(story, message => message with { SentAt = "never" })),
            ["an ack with a wrong tempId"] = ("I8", null, story => ChangeAck(story, message => message with { TempId = "t9" })),
            ["a retry is acknowledged with another message"] = ("I8", story => story.Send("alice", null, Ab(story), "hello", "t1"), story =>
            {
                var other = story.Operations.First(send => send.TempId == "t2").Acked! with { TempId = "t1" };
                story.Operations[^1] = story.Operations[^1] with
                {
                    Response = story.Operations[^1].Response! with
                    {
                        Payload =
                    HistoryBuilder.Json(new { tempId = "t1", message = HistoryBuilder.ToWire(other, story.User("alice")) })
                    }
                };
            }
            ),
            ["a rejected send is stored"] = ("I8", null, story =>
            {
                var at = story.Operations.FindIndex(send => send.TempId == "t2");
                story.Operations[at] = story.Operations[at] with
                {
                    Response =
                    new Response(story.Operations[at].Response!.At, "error", HistoryBuilder.Json(new { code = "UNAVAILABLE" }))
                };
            }
            ),
            ["a rejected send without tempId is stored"] = ("I8", story => story.Send("carol", null, Ac(story), "no"), story =>
                story.Operations[^1] = story.Operations[^1] with
                {
                    Response =
                    new Response(story.Operations[^1].Response!.At, "error", HistoryBuilder.Json(new { code = "UNAVAILABLE" }))
                }),

            ["an acknowledged message is missing from the next fetch"] = ("I9", story =>
            {
                story.Send("alice", "A1", Ab(story), "where", "u1");
                story.Fetch("alice", Ab(story), 0);
            }, story => HideFromPage(story, message => message.TempId == "u1")),
            ["a page omits the sender's own message"] =
            ("I9", story => story.Fetch("alice", Ab(story), 0), story => HideFromPage(story, message => message.TempId == "t1")),
            ["a page that is not the last one omits a message"] = ("I9", story => story.Fetch("alice", Ab(story), 0),
            story => ReplacePage(story, messages => messages.Where(message => message.Seq != 2), hasMore: true)),

            ["the list has a wrong unread count"] = ("I10", null, story =>
                Edit(story, view => view.UserId == story.User("bob") && view.Node == "b", shown => shown with { Unread = shown.Unread + 1 })),
            ["the summary has a wrong total"] = ("I10", null, story =>
            {
                var at = story.Views.FindIndex(view => view.UserId == story.User("bob") && view.Node == "b");
                story.Views[at] = story.Views[at] with { TotalUnread = story.Views[at].TotalUnread + 1 };
            }
            ),
            ["a device is left with a stale count"] = ("I10", null,
            story => story.Push("B1", "notification.unread", new { conversationId = Ab(story), unread = 4, totalUnread = 4 })),
            ["a device is left with a stale count of one conversation"] = ("I10", null,
            story => story.Push("B1", "notification.unread", new { conversationId = Ab(story), unread = 4, totalUnread = 1 })),
            ["a device is left with a stale total"] = ("I10", null,
            story => story.Push("B1", "notification.unread", new { conversationId = Ab(story), unread = 1, totalUnread = 4 })),
            ["a cursor regressed"] = ("I10", story =>
            {
                story.Read("bob", "B1", Ab(story), 3);
                story.Read("bob", "B1", Ab(story), 4);
            }, story => ChangeReadAck(story, 2)),
            ["a cursor was lost"] = ("I10", story => story.Read("bob", "B1", Ab(story), 3), story => ChangeReadAck(story, 9)),
            ["delivered is behind read"] =
            ("I10", null, story => Edit(story, view => view.UserId == story.User("bob") && view.Node == "b", shown => shown with
            {
                Cursors = new Dictionary<Guid, Cursor> { [story.User("alice")] = new(0, 0), [story.User("bob")] = new(2, 1) },
            })),

            ["an offline user is seen as online"] =
            ("I11", story => story.Close("B1"), story => story.Frames("A1").RemoveAll(frame => frame.Type == "user.offline")),
            ["an online user is seen as offline"] = ("I11", null,
            story => story.Frames("A1").RemoveAll(frame => frame.Type == "user.online" && frame.GetGuid("userId") == story.User("bob"))),
            ["a node returns a wrong presence"] = ("I11", null, story =>
            {
                var at = story.Views.FindIndex(view => view.UserId == story.User("alice"));
                story.Views[at] = story.Views[at] with { Presence = story.Views[at].Presence.ToDictionary(status => status.Key, _ => false) };
            }
            ),
            ["a user is reported online twice"] = ("I11", null, story => story.Push("A1", "user.online", new { userId = story.User("bob") })),
            ["a second device is reported as a transition"] =
            ("I11", story => story.Open("B2", "bob"), story => story.Push("A2", "user.online", new { userId = story.User("bob") })),
            ["a user is reported offline twice"] =
            ("I11", story => story.Close("B1"), story => story.Push("A1", "user.offline", new { userId = story.User("bob") })),

            ["an unknown event"] = ("I12", null, story => story.Push("B1", "message.vanished", new { })),
            ["a receipt is missing after a block was removed"] = ("I12", story =>
            {
                story.Block("alice", "bob", "A1");
                story.Unblock("alice", "bob", "A1");
                story.Tick();
                story.Close("A1");
                story.Close("A2");
                story.Open("A3", "alice");
                story.Read("bob", "B1", Ab(story), 4);
            }, story => story.Frames("A3").RemoveAll(frame => frame.Type == "message.read_update")),
            ["a read update is missing"] = ("I12", story => story.Read("bob", "B1", Ab(story), 4),
            story => story.Frames("A2").RemoveAll(frame => frame.Type == "message.read_update")),
            ["an event is ahead of the state"] = ("I12", null, story =>
                story.Push("A1", "message.delivered_update", new { conversationId = Ab(story), upTo = 4, userId = story.User("bob") })),
            ["a device is notified of a sequence number that does not exist"] = ("I12", null, story =>
                story.Push("B1", "conversation.updated", new
                {
                    conversationId = Ab(
                    story),
                    lastMessage = HistoryBuilder.ToWire(story.Operations[^2].Acked!.WithoutTempId, story.User("bob")),
                    seq = 9
                })),
            ["a block is not sent to another device"] = ("I12", story => story.Block("alice", "dave", "A1"),
            story => story.Frames("A2").RemoveAll(frame => frame.Type == "block.added")),
            ["a pushed message differs from the stored one"] = ("I12", null, story =>
            {
                var at = story.Frames("B1").FindIndex(frame => frame.Type == "message.new");
                story.Frames("B1")[at] = story.Frames("B1")[at] with
                {
                    Payload = HistoryBuilder.Json(
                    new { message = HistoryBuilder.ToWire(story.Frames("B1")[at].Message! with { SentAt = "never" }, Guid.Empty) })
                };
            }
            ),

            ["a message reaches a non-member"] = ("I13", null, story => story.Push("D1", "message.new",
                new { message = HistoryBuilder.ToWire(story.Messages(story.Views[0], Ab(story))[0].WithoutTempId, Guid.Empty) })),
            ["a receipt reaches a non-member"] = ("I13", null,
            story => story.Push("D1", "message.read_update", new { conversationId = Ab(story), upTo = 1, readBy = story.User("bob") })),
            ["a tempId reaches another user"] = ("I13", story => story.Send("bob", "B1", Ab(story), "private", "u1"), story =>
            {
                var at = story.Frames("A1").FindLastIndex(frame => frame.Type == "conversation.updated");
                story.Frames("A1")[at] = story.Frames("A1")[at] with
                {
                    Payload = HistoryBuilder.Json(new
                    {
                        lastMessage = HistoryBuilder.ToWire(
                    story.Operations[^1].Acked!, story.User("bob")),
                        seq = story.Operations[^1].Acked!.Seq
                    })
                };
            }
            ),
            ["a user's presence reaches a stranger"] = ("I13", story =>
            {
                story.Close("B1");
                story.Tick(10_000);
                story.Open("B2", "bob");
            }, story => story.Push("D1", "user.online", new { userId = story.User("bob") })),
            ["a read update crosses a block"] = ("I13", story => BlockedFor(story, 5000),
            story => story.Push("A1", "message.read_update", new { conversationId = Ab(story), upTo = 2, readBy = story.User("bob") })),
            ["typing crosses a block"] = ("I13", story => BlockedFor(story, 5000),
            story => story.Push("A1", "typing.update", new { conversationId = Ab(story), userId = story.User("bob"), typing = true })),
            ["a receipt crosses a block the other way"] = ("I13", story => BlockedFor(story, 5000), story =>
                story.Push("B1", "message.delivered_update", new { conversationId = Ab(story), upTo = 0, userId = story.User("alice") })),
            ["typing crosses a block that is removed later"] = ("I13", story =>
            {
                BlockedFor(story, 5000);
                story.Push("A1", "typing.update", new { conversationId = Ab(story), userId = story.User("bob"), typing = true });
                story.Unblock("alice", "bob", "A1");
            }, _ => { }
            ),
            ["a message is stored despite a block"] = ("I13", story => BlockedFor(story, 0), story =>
            {
                // Sent after the block was acknowledged, by the sender's clock.
                var at = story.Operations.FindIndex(send => send.TempId == "t2");
                story.Operations[at] =
                    story.Operations[at] with { Start = story.Tick(), Response = story.Operations[at].Response! with { At = story.Tick() } };
            }
            ),
            ["the blocked user is notified of the block"] =
            ("I13", story => BlockedFor(story, 0), story => story.Push("B1", "block.removed", new { userId = story.User("alice") })),
            ["an event after the token expired"] = ("I13", null, story =>
            {
                story.Connections["C1"] = story.Connections["C1"] with { ExpiresAt = story.Tick() };
                story.Tick(10_000);
                story.Push("C1", "typing.update", new { conversationId = Ac(story), userId = story.User("alice"), typing = true });
            }
            ),

            ["a connection leaks"] = ("I14", null, story => story.Residues.Add(new Residue("a", 1, 0, 0, 0))),
            ["a subscription leaks"] = ("I14", null, story => story.Residues.Add(new Residue("b", 0, 0, 1, 0))),
            ["a lease leaks"] = ("I14", null, story => story.Residues.Add(new Residue("b", 0, 0, 0, 1))),

            ["a late ack"] = ("I15", null, story => ChangeResponse(story, "t2", send => send with { At = send.At + TimeSpan.FromSeconds(5) })),
            ["a late error"] = ("I15", story => story.Send("bob", "B1", Ab(story), "refused", "u1", isStored: false),
            story => ChangeResponse(story, "u1", send => send with { At = send.At + TimeSpan.FromSeconds(5) })),
            ["no response on an open connection"] = ("I15", story => story.Send("bob", "B1", Ab(story), "refused", "u1", isStored: false),
            story => ChangeResponse(story, "u1", _ => null)),
            ["no response, and the connection is closed late"] = ("I15", story =>
            {
                story.Send("bob", "B1", Ab(story), "refused", "u1", isStored: false);
                story.Tick(5000);
                story.Close("B1");
            }, story => ChangeResponse(story, "u1", _ => null)),
        };

    public static TheoryData<string> ValidNames => [.. Valid.Keys];

    public static TheoryData<string> ViolatingNames => [.. Violating.Keys];

    [Theory]
    [MemberData(nameof(ValidNames))]
    public void A_valid_history_violates_no_invariant(string name)
    {
        var story = NewHistory();
        Valid[name](story);
        story.ReadViews();

        Assert.Empty(Invariant.FindViolations(story.Build()));
    }

    [Theory]
    [MemberData(nameof(ViolatingNames))]
    public void A_mutated_history_violates_exactly_the_expected_invariant(string name)
    {
        var (breaks, before, mutate) = Violating[name];
        var story = NewHistory();
        before?.Invoke(story);
        story.ReadViews();
        mutate(story);

        Assert.Equal([breaks], Invariant.FindViolations(story.Build()).Select(violation => violation.Invariant).Distinct());
    }

    [Fact]
    public void Every_invariant_has_two_violating_histories() =>
        Assert.All(
            Invariant.All, invariant => Assert.True(Violating.Values.Count(bad => bad.Breaks == invariant.Name) >= 2, invariant.Name));

    // Alice has two devices, Bob, Carol and Dave one. Alice has conversations with Bob and Carol, Dave has none.
    private static HistoryBuilder NewHistory()
    {
        var story = new HistoryBuilder();
        story.Open("A0", "alice");
        var (ab, ac) = (Ab(story), Ac(story));
        story.Close("A0");
        story.Open("A1", "alice");
        story.Open("A2", "alice");
        story.Open("B1", "bob");
        story.Open("C1", "carol");
        story.Open("D1", "dave");
        story.Send("alice", "A1", ab, "hello", "t1");
        story.Send("alice", "A1", ab, "how are you", "t2");
        story.Send("alice", null, ab, "?", "t3");
        story.Send("bob", "B1", ab, "fine", "t1");
        story.Read("bob", "B1", ab, 2);
        return story;
    }

    private static Guid Ab(HistoryBuilder story) => story.Between("alice", "bob");

    private static Guid Ac(HistoryBuilder story) => story.Between("alice", "carol");

    // The ack is then the only trace of the message.
    private static void SendWithAllOffline(HistoryBuilder story, string content, string? tempId = null, bool isAnswered = true)
    {
        foreach (var name in story.Connections.Keys.ToArray())
            story.Close(name);
        story.Send("alice", null, Ac(story), content, tempId, isAnswered);
    }

    private static void RemoveFirstMessage(HistoryBuilder story, Guid conversation, Func<View, bool> where)
    {
        foreach (var view in story.Views.Where(view => view.Messages.ContainsKey(conversation) && where(view)).ToArray())
        {
            story.Messages(view, conversation).RemoveAt(0);
            story.Views[story.Views.IndexOf(view)] = view with
            {
                Conversations = new Dictionary<Guid, ConversationView>(view.Conversations)
                {
                    [conversation] =
                    view.Conversations[conversation] with { Seq = 0, LastMessageId = null, Unread = 0 }
                },
                Unread = view.Unread.Where(part => part.Key != conversation).ToDictionary(),
                TotalUnread = view.TotalUnread - view.Unread.GetValueOrDefault(conversation),
            };
        }
    }

    private static void Edit(HistoryBuilder story, Guid conversation, Func<Message, Message> change)
    {
        foreach (var messages in story.Views.Where(view => view.Messages.ContainsKey(conversation))
            .Select(view => story.Messages(view, conversation)))
        {
            for (var i = 0; i < messages.Count; i++)
                messages[i] = change(messages[i]);
        }
    }

    // The first conversation of these views: Alice's with Bob, or a user's only one.
    private static void Edit(HistoryBuilder story, Func<View, bool> where, Func<ConversationView, ConversationView> change)
    {
        foreach (var view in story.Views.Where(where).ToArray())
        {
            var first = view.Conversations.First();
            story.Views[story.Views.IndexOf(view)] = view with
            {
                Conversations =
                new Dictionary<Guid, ConversationView>(view.Conversations) { [first.Key] = change(first.Value) }
            };
        }
    }

    private static void Swap(List<ReceivedFrame> frames, string type)
    {
        var (first, second) = (frames.FindIndex(frame => frame.Type == type),
            frames.FindIndex(frames.FindIndex(frame => frame.Type == type) + 1, frame => frame.Type == type));
        (frames[first], frames[second]) = (frames[second], frames[first]);
    }

    private static void SwapStartTimes(List<Operation> operations, string earlier, string later)
    {
        int Find(string what) => operations.FindIndex(send => send.TempId == what || send.Content == what);
        var (first, second) = (operations[Find(earlier)], operations[Find(later)]);
        operations[Find(earlier)] = first with { Start = second.Start };
        operations[Find(later)] = second with { Start = first.Start };
    }

    private static void ChangeAck(HistoryBuilder story, Func<Message, Message> lie)
    {
        var at = story.Operations.FindIndex(send => send.TempId == "t2");
        var send = story.Operations[at];
        story.Operations[at] = send with
        {
            Response = send.Response! with
            {
                Payload =
            HistoryBuilder.Json(new { tempId = "t2", message = HistoryBuilder.ToWire(lie(send.Acked!), send.UserId) })
            }
        };
    }

    private static void ChangeResponse(HistoryBuilder story, string tempId, Func<Response, Response?> change)
    {
        var at = story.Operations.FindLastIndex(send => send.TempId == tempId);
        story.Operations[at] = story.Operations[at] with { Response = change(story.Operations[at].Response!) };
    }

    private static void HideFromPage(HistoryBuilder story, Func<Message, bool> to) =>
        ReplacePage(story, messages => messages.Where(message => !to(message)), hasMore: false);

    // Replaces the page of the last fetch.
    private static void ReplacePage(HistoryBuilder story, Func<IEnumerable<Message>, IEnumerable<Message>> page, bool hasMore)
    {
        var fetch = story.Operations[^1];
        var messages = page(fetch.Response!.Payload.GetProperty("messages").EnumerateArray().Select(Message.Read))
            .Select(message => HistoryBuilder.ToWire(message, fetch.UserId));
        story.Operations[^1] = fetch with { Response = fetch.Response with { Payload = HistoryBuilder.Json(new { messages, hasMore }) } };
    }

    // Changes the first message that was pushed to Bob.
    private static void ChangePush(HistoryBuilder story, Func<Message, Message> change)
    {
        var frames = story.Frames("B1");
        var at = frames.FindIndex(frame => frame.Type == "message.new");
        frames[at] = frames[at] with
        {
            Payload =
            HistoryBuilder.Json(new { message = HistoryBuilder.ToWire(change(frames[at].Message!), Guid.Empty) })
        };
    }

    private static void ChangeReadAck(HistoryBuilder story, long upTo) =>
        story.Operations[^1] =
            story.Operations[^1] with { Response = story.Operations[^1].Response! with { Payload = HistoryBuilder.Json(new { upTo }) } };

    private static Message FabricatedMessage(HistoryBuilder story) =>
        new(Guid.NewGuid(), Ab(story), 1, story.User("bob"), "I never said that", "once", null);

    private static void BlockedFor(HistoryBuilder story, int milliseconds)
    {
        story.Block("alice", "bob", "A1");
        story.Tick(milliseconds);
    }
}
