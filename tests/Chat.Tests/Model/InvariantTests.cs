using Chat.Invariants;

namespace Chat.Tests.Model;

/// <summary>
/// The checkers themselves: each good history breaks nothing, and each one spoilt by hand breaks the one promise that
/// it was spoilt for, and no other.
/// </summary>
public sealed class InvariantTests
{
    private static readonly Dictionary<string, Action<Story>> Good = new()
    {
        ["nothing happens"] = _ => { },
        ["a message without an answer is there"] = story => story.Send("alice", "A1", Ab(story), "lost ack", "u1", isAnswered: false),
        ["a message without an answer is not there"] = story => story.Send("alice", "A1", Ab(story), "lost send", "u1", isAnswered: false, isStored: false),
        ["a refused message is stored by its repeat"] = story =>
        {
            story.Send("alice", "A1", Ab(story), "again", "u1", isStored: false);
            story.Send("alice", "A2", Ab(story), "again", "u1");
        },
        ["a repeat with other content gets the original"] = story => story.Send("alice", "A2", Ab(story), "something else", "t1"),
        ["a repeat on the device that was told, out of its place in the order"] = story =>
        {
            story.Send("alice", "A1", Ab(story), "first", "u1", isAnswered: false);
            story.Send("alice", "A2", Ab(story), "second", "u2");
            story.Send("alice", "A2", Ab(story), "first", "u1");
        },
        ["the same text twice on purpose"] = story =>
        {
            story.Send("alice", "A1", Ab(story), "hello");
            story.Send("alice", null, Ab(story), "hello");
        },
        ["a device comes, goes and comes back"] = story =>
        {
            story.Close("B1");
            story.Send("alice", "A1", Ab(story), "while bob is away", "u1");
            story.Open("B2", "bob");
        },
        ["somebody is gone and back before it is told"] = story =>
        {
            story.Close("B1");
            story.Open("B2", "bob");
            story.Frames("A1").RemoveAll(frame => frame.Type == "user.offline");
        },
        ["a block that is over"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Send("bob", "B1", Ab(story), "refused", "u1");
            story.Unblock("alice", "bob", "A2");
            story.Send("bob", "B1", Ab(story), "welcome", "u2");
            story.Type("bob", "B1", Ab(story));
        },
        ["a block to the end"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Send("bob", "B1", Ab(story), "refused", "u1");
            story.Read("bob", "B1", Ab(story), 4);
            story.Tick(5000);
            story.Close("B1");
        },
        ["somebody reconnects behind a block"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Close("B1");
            story.Tick(5000);
            story.Open("B2", "bob");
        },
        ["receipts that were on their way when the block's ack came"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Push("A1", "message.read_update", new { conversationId = Ab(story), upTo = 1, readBy = story.User("bob") });
        },
        ["a send that was under way when the block's ack came"] = story =>
        {
            story.Send("bob", "B1", Ab(story), "just in time", "u1");
            var send = story.Operations[^1];
            story.Block("alice", "bob", "A1");
            story.Operations.Remove(send);
            story.Operations.Add(send with { Response = send.Response! with { At = story.Tick() } });
        },
        ["two blocks, of which one is taken back"] = story =>
        {
            story.Block("alice", "carol", "A1");
            story.Unblock("alice", "carol", "A1");
            story.Block("alice", "carol", "A1");
        },
        ["a token that runs out"] = story =>
        {
            story.Connections["C1"] = story.Connections["C1"] with { ExpiresAt = story.Tick() };
            story.Close("C1");
        },
        ["an event that was on its way when the token ran out"] = story =>
        {
            story.Connections["C1"] = story.Connections["C1"] with { ExpiresAt = story.Tick() };
            story.Push("C1", "typing.update", new { conversationId = Ac(story), userId = story.User("alice"), typing = true });
            story.Close("C1");
        },
        ["a message that was tried before a block and again behind it"] = story =>
        {
            story.Send("bob", "B1", Ab(story), "just in time", "u1", isAnswered: false);
            story.Block("alice", "bob", "A1");
            story.Send("bob", null, Ab(story), "just in time", "u1");
        },
        ["three sends at once, each answered in time behind the one before"] = story =>
        {
            story.Send("alice", "A1", Ab(story), "first", "u1");
            story.Send("alice", "A1", Ab(story), "second", "u2");
            story.Send("alice", "A1", Ab(story), "third", "u3");
            var (first, late) = (story.Operations[^3].Start, TimeSpan.FromSeconds(4));
            for (var i = 1; i <= 3; i++)
                story.Operations[^(4 - i)] = story.Operations[^(4 - i)] with { Start = first + TimeSpan.FromMilliseconds(i), Response = story.Operations[^(4 - i)].Response! with { At = first + (late * i) } };
        },
        ["somebody looks at what they said"] = story => story.Look("alice", Ab(story), 0),
        ["somebody looks past what they said"] = story => story.Look("alice", Ab(story), 2),
        ["a page that is not the last one"] = story =>
        {
            story.Look("alice", Ab(story), 0);
            Turn(story, messages => messages.Take(2), hasMore: true);
        },
        ["a look that began before the ack"] = story =>
        {
            story.Look("alice", Ab(story), 0);
            var look = story.Operations[^1];
            story.Operations.Remove(look);
            story.Send("alice", "A1", Ab(story), "meanwhile", "u1");
            story.Operations.Add(look);
        },
        ["a receipt behind a block that was over before"] = story =>
        {
            story.Block("alice", "bob", "A1");
            story.Unblock("alice", "bob", "A1");
            story.Close("A1");
            story.Tick();
            story.Open("A3", "alice");
            story.Read("bob", "B1", Ab(story), 3);
        },
        ["everybody has left"] = story => story.Leftovers.Add(new Residue("a", 0, 0, 0, 0)),
    };

    /// <summary>What is done before the end is read, and how the history is then spoilt.</summary>
    private static readonly Dictionary<string, (string Breaks, Action<Story>? Before, Action<Story> Spoil)> Bad = new()
    {
        ["an acknowledged message is lost for all"] = ("I1", story => SendToNobody(story, "lost", "u1"), story => Lose(story, Ac(story), _ => true)),
        ["an acknowledged message is lost on one node"] = ("I1", story => SendToNobody(story, "lost", "u1"), story => Lose(story, Ac(story), view => view.Node == "b")),
        ["an acknowledged message is lost for one member"] = ("I1", story => SendToNobody(story, "lost", "u1"), story => Lose(story, Ac(story), view => view.UserId == story.User("alice"))),

        ["a repeat is stored again"] = ("I2", story =>
        {
            SendToNobody(story, "once", "u1");
            story.Send("alice", null, Ac(story), "once", "u2");
        }, story =>
        {
            Edit(story, Ac(story), message => message.TempId == "u2" ? message with { TempId = "u1" } : message);
            story.Operations[^1] = story.Operations[^2];
        }),
        ["a message is listed twice"] = ("I2", story =>
        {
            SendToNobody(story, "twice");
            story.Send("alice", null, Ac(story), "twice");
        }, story => story.Operations.RemoveAt(story.Operations.Count - 1)),

        ["a message that nobody sent"] = ("I3", story => story.Send("carol", null, Ac(story), "ghost"), story => story.Operations.RemoveAll(send => send.Content == "ghost")),
        ["a text that nobody wrote"] = ("I3", story => story.Send("carol", "C1", Ac(story), "written", isAnswered: false),
            story => story.Operations[^1] = story.Operations[^1] with { Content = "meant" }),
        ["a message pushed to somebody and never sent"] = ("I3", null, story => story.Push("B1", "message.sent", new { message = Story.Shape(Invented(story), story.User("bob")) }, "q")),

        ["a hole"] = ("I4", story => SendToNobody(story, "second", isAnswered: false), story => Edit(story, Ac(story), message => message with { Seq = 2 })),
        ["the counter is ahead of the messages"] = ("I4", story => SendToNobody(story, "only one"), story => Edit(story, view => view.UserId == story.User("carol"), shown => shown with { Seq = 2 })),
        ["the list names an old message as the last"] = ("I4", null, story =>
            Edit(story, view => view.UserId == story.User("bob") && view.Node == "b", shown => shown with { LastMessageId = story.Operations[0].Acked!.Id })),

        ["two pushes in swapped order"] = ("I5", null, story => Swap(story.Frames("B1"), "message.new")),
        ["two updates in swapped order"] = ("I5", null, story => Swap(story.Frames("A2"), "conversation.updated")),
        ["one device is shown other numbers"] = ("I5", story => story.Close("B1"), story =>
        {
            var frames = story.Frames("B1");
            var news = Enumerable.Range(0, frames.Count).Where(i => frames[i].Type == "message.new").Take(2).ToArray();
            var (one, two) = (frames[news[0]].Message!, frames[news[1]].Message!);
            frames[news[0]] = frames[news[0]] with { Payload = Story.Json(new { message = Story.Shape(two with { Seq = one.Seq }, Guid.Empty) }) };
            frames[news[1]] = frames[news[1]] with { Payload = Story.Json(new { message = Story.Shape(one with { Seq = two.Seq }, Guid.Empty) }) };
        }),

        ["one device is shown another number"] = ("I5", story => story.Close("B1"), story => Reshow(story, message => message with { Seq = 40 })),
        ["one device is shown a message under another id"] = ("I5", story => story.Close("B1"), story => Reshow(story, message => message with { Id = Guid.NewGuid() })),
        ["a device has caught up with another number"] = ("I5", story =>
        {
            story.Close("B1");
            story.Open("B2", "bob");
            story.Close("B2");
        }, story => story.CaughtUp("B2")[0] = story.CaughtUp("B2")[0] with { Seq = 40 }),

        ["two sends of one connection are stored in swapped order"] = ("I6", story =>
        {
            story.Send("alice", "A1", Ab(story), "earlier", "u1");
            story.Send("alice", "A1", Ab(story), "later", "u2");
        }, story => Exchange(story.Operations, "u1", "u2")),
        ["two sends without tempId are stored in swapped order"] = ("I6", story =>
        {
            story.Send("carol", "C1", Ac(story), "earlier");
            story.Send("carol", "C1", Ac(story), "later");
        }, story => Exchange(story.Operations, "earlier", "later")),

        ["a push is lost"] = ("I7", null, story => story.Frames("B1").RemoveAll(frame => frame.Type == "message.new" && frame.Message!.Seq == 2)),
        ["a device does not catch up"] = ("I7", story =>
        {
            story.Close("B1");
            story.Open("B2", "bob");
        }, story => story.CaughtUp("B2").RemoveAll(message => message.Seq == 1)),
        ["a number comes twice"] = ("I7", null, story => story.Frames("B1").Insert(
            story.Frames("B1").FindIndex(frame => frame.Type == "message.new"), story.Frames("B1").First(frame => frame.Type == "message.new"))),
        ["the sender is told its own message"] = ("I7", story => story.Send("alice", "A1", Ab(story), "echo", "u1"), story =>
            story.Push("A1", "message.new", new { message = Story.Shape(story.Operations[^1].Acked!, story.User("alice")) })),

        ["an ack with another number"] = ("I8", null, story => Lie(story, message => message with { Seq = message.Seq + 1 })),
        ["an ack with another time"] = ("I8", null, story => Lie(story, message => message with { SentAt = "never" })),
        ["an ack with another tempId"] = ("I8", null, story => Lie(story, message => message with { TempId = "t9" })),
        ["a repeat gets another message"] = ("I8", story => story.Send("alice", null, Ab(story), "hello", "t1"), story =>
        {
            var other = story.Operations.First(send => send.TempId == "t2").Acked! with { TempId = "t1" };
            story.Operations[^1] = story.Operations[^1] with { Response = story.Operations[^1].Response! with { Payload = Story.Json(new { tempId = "t1", message = Story.Shape(other, story.User("alice")) }) } };
        }),
        ["a refused send is stored"] = ("I8", null, story =>
        {
            var at = story.Operations.FindIndex(send => send.TempId == "t2");
            story.Operations[at] = story.Operations[at] with { Response = new Response(story.Operations[at].Response!.At, "error", Story.Json(new { code = "UNAVAILABLE" })) };
        }),
        ["a refused send without tempId is stored"] = ("I8", story => story.Send("carol", null, Ac(story), "no"), story =>
            story.Operations[^1] = story.Operations[^1] with { Response = new Response(story.Operations[^1].Response!.At, "error", Story.Json(new { code = "UNAVAILABLE" })) }),

        ["the sender does not see it at once"] = ("I9", story =>
        {
            story.Send("alice", "A1", Ab(story), "where", "u1");
            story.Look("alice", Ab(story), 0);
        }, story => Blind(story, message => message.TempId == "u1")),
        ["a page leaves out the sender's own"] = ("I9", story => story.Look("alice", Ab(story), 0), story => Blind(story, message => message.TempId == "t1")),
        ["a page that is not the last one leaves out its end"] = ("I9", story => story.Look("alice", Ab(story), 0), story => Turn(story, messages => messages.Where(message => message.Seq != 2), hasMore: true)),

        ["the list counts wrong"] = ("I10", null, story => Edit(story, view => view.UserId == story.User("bob") && view.Node == "b", shown => shown with { Unread = shown.Unread + 1 })),
        ["the summary counts wrong"] = ("I10", null, story =>
        {
            var at = story.Views.FindIndex(view => view.UserId == story.User("bob") && view.Node == "b");
            story.Views[at] = story.Views[at] with { TotalUnread = story.Views[at].TotalUnread + 1 };
        }),
        ["a device is left with a stale count"] = ("I10", null, story => story.Push("B1", "notification.unread", new { conversationId = Ab(story), unread = 4, totalUnread = 4 })),
        ["a device is left with a stale count of one conversation"] = ("I10", null, story => story.Push("B1", "notification.unread", new { conversationId = Ab(story), unread = 4, totalUnread = 1 })),
        ["a device is left with a stale sum"] = ("I10", null, story => story.Push("B1", "notification.unread", new { conversationId = Ab(story), unread = 1, totalUnread = 4 })),
        ["a cursor went back"] = ("I10", story =>
        {
            story.Read("bob", "B1", Ab(story), 3);
            story.Read("bob", "B1", Ab(story), 4);
        }, story => Acknowledge(story, 2)),
        ["a cursor was lost"] = ("I10", story => story.Read("bob", "B1", Ab(story), 3), story => Acknowledge(story, 9)),
        ["delivered is behind read"] = ("I10", null, story => Edit(story, view => view.UserId == story.User("bob") && view.Node == "b", shown => shown with
        {
            Cursors = new Dictionary<Guid, Cursor> { [story.User("alice")] = new(0, 0), [story.User("bob")] = new(2, 1) },
        })),

        ["somebody is believed to be there"] = ("I11", story => story.Close("B1"), story => story.Frames("A1").RemoveAll(frame => frame.Type == "user.offline")),
        ["somebody is believed to be away"] = ("I11", null, story => story.Frames("A1").RemoveAll(frame => frame.Type == "user.online" && frame.GetGuid("userId") == story.User("bob"))),
        ["a node is wrong about somebody"] = ("I11", null, story =>
        {
            var at = story.Views.FindIndex(view => view.UserId == story.User("alice"));
            story.Views[at] = story.Views[at] with { Presence = story.Views[at].Presence.ToDictionary(status => status.Key, _ => false) };
        }),
        ["a change is told twice"] = ("I11", null, story => story.Push("A1", "user.online", new { userId = story.User("bob") })),
        ["a second device is told as a change"] = ("I11", story => story.Open("B2", "bob"), story => story.Push("A2", "user.online", new { userId = story.User("bob") })),
        ["going is told twice"] = ("I11", story => story.Close("B1"), story => story.Push("A1", "user.offline", new { userId = story.User("bob") })),

        ["an event that no client knows"] = ("I12", null, story => story.Push("B1", "message.vanished", new { })),
        ["a receipt is not told behind a block that was over before"] = ("I12", story =>
        {
            story.Block("alice", "bob", "A1");
            story.Unblock("alice", "bob", "A1");
            story.Tick();
            story.Close("A1");
            story.Close("A2");
            story.Open("A3", "alice");
            story.Read("bob", "B1", Ab(story), 4);
        }, story => story.Frames("A3").RemoveAll(frame => frame.Type == "message.read_update")),
        ["an update is not told"] = ("I12", story => story.Read("bob", "B1", Ab(story), 4), story => story.Frames("A2").RemoveAll(frame => frame.Type == "message.read_update")),
        ["an event is ahead of the state"] = ("I12", null, story => story.Push("A1", "message.delivered_update", new { conversationId = Ab(story), upTo = 4, userId = story.User("bob") })),
        ["a device is told of a number that is not there"] = ("I12", null, story =>
            story.Push("B1", "conversation.updated", new { conversationId = Ab(story), lastMessage = Story.Shape(story.Operations[^2].Acked!.WithoutTempId, story.User("bob")), seq = 9 })),
        ["a block is not told to another device"] = ("I12", story => story.Block("alice", "dave", "A1"), story => story.Frames("A2").RemoveAll(frame => frame.Type == "block.added")),
        ["a message is pushed as it is not stored"] = ("I12", null, story =>
        {
            var at = story.Frames("B1").FindIndex(frame => frame.Type == "message.new");
            story.Frames("B1")[at] = story.Frames("B1")[at] with { Payload = Story.Json(new { message = Story.Shape(story.Frames("B1")[at].Message! with { SentAt = "never" }, Guid.Empty) }) };
        }),

        ["a message reaches a stranger"] = ("I13", null, story => story.Push("D1", "message.new", new { message = Story.Shape(story.Messages(story.Views[0], Ab(story))[0].WithoutTempId, Guid.Empty) })),
        ["a receipt reaches a stranger"] = ("I13", null, story => story.Push("D1", "message.read_update", new { conversationId = Ab(story), upTo = 1, readBy = story.User("bob") })),
        ["a tempId reaches somebody else"] = ("I13", story => story.Send("bob", "B1", Ab(story), "private", "u1"), story =>
        {
            var at = story.Frames("A1").FindLastIndex(frame => frame.Type == "conversation.updated");
            story.Frames("A1")[at] = story.Frames("A1")[at] with { Payload = Story.Json(new { lastMessage = Story.Shape(story.Operations[^1].Acked!, story.User("bob")), seq = story.Operations[^1].Acked!.Seq }) };
        }),
        ["somebody's coming reaches a stranger"] = ("I13", story =>
        {
            story.Close("B1");
            story.Tick(10_000);
            story.Open("B2", "bob");
        }, story => story.Push("D1", "user.online", new { userId = story.User("bob") })),
        ["reading crosses a block"] = ("I13", story => BlockedFor(story, 5000), story => story.Push("A1", "message.read_update", new { conversationId = Ab(story), upTo = 2, readBy = story.User("bob") })),
        ["typing crosses a block"] = ("I13", story => BlockedFor(story, 5000), story => story.Push("A1", "typing.update", new { conversationId = Ab(story), userId = story.User("bob"), typing = true })),
        ["a receipt crosses a block the other way"] = ("I13", story => BlockedFor(story, 5000), story => story.Push("B1", "message.delivered_update", new { conversationId = Ab(story), upTo = 0, userId = story.User("alice") })),
        ["coming back crosses a block that is over later"] = ("I13", story =>
        {
            BlockedFor(story, 5000);
            story.Push("A1", "typing.update", new { conversationId = Ab(story), userId = story.User("bob"), typing = true });
            story.Unblock("alice", "bob", "A1");
        }, _ => { }),
        ["a message is stored across a block"] = ("I13", story => BlockedFor(story, 0), story =>
        {
            // Sent when the block had been acknowledged, by the clock of the sender.
            var at = story.Operations.FindIndex(send => send.TempId == "t2");
            story.Operations[at] = story.Operations[at] with { Start = story.Tick(), Response = story.Operations[at].Response! with { At = story.Tick() } };
        }),
        ["the blocked one is told"] = ("I13", story => BlockedFor(story, 0), story => story.Push("B1", "block.removed", new { userId = story.User("alice") })),
        ["an event after the token ran out"] = ("I13", null, story =>
        {
            story.Connections["C1"] = story.Connections["C1"] with { ExpiresAt = story.Tick() };
            story.Tick(10_000);
            story.Push("C1", "typing.update", new { conversationId = Ac(story), userId = story.User("alice"), typing = true });
        }),

        ["a connection is left"] = ("I14", null, story => story.Leftovers.Add(new Residue("a", 1, 0, 0, 0))),
        ["a subscription is left"] = ("I14", null, story => story.Leftovers.Add(new Residue("b", 0, 0, 1, 0))),
        ["a lease is left"] = ("I14", null, story => story.Leftovers.Add(new Residue("b", 0, 0, 0, 1))),

        ["a late yes"] = ("I15", null, story => Answer(story, "t2", send => send with { At = send.At + TimeSpan.FromSeconds(5) })),
        ["a late no"] = ("I15", story => story.Send("bob", "B1", Ab(story), "refused", "u1", isStored: false), story => Answer(story, "u1", send => send with { At = send.At + TimeSpan.FromSeconds(5) })),
        ["no answer over an open connection"] = ("I15", story => story.Send("bob", "B1", Ab(story), "refused", "u1", isStored: false), story => Answer(story, "u1", _ => null)),
        ["no answer, and the connection is closed late"] = ("I15", story =>
        {
            story.Send("bob", "B1", Ab(story), "refused", "u1", isStored: false);
            story.Tick(5000);
            story.Close("B1");
        }, story => Answer(story, "u1", _ => null)),
    };

    public static TheoryData<string> GoodNames => [.. Good.Keys];

    public static TheoryData<string> BadNames => [.. Bad.Keys];

    [Theory]
    [MemberData(nameof(GoodNames))]
    public void A_good_history_breaks_nothing(string name)
    {
        var story = Begin();
        Good[name](story);
        story.Settle();

        Assert.Empty(Invariant.FindViolations(story.Told()));
    }

    [Theory]
    [MemberData(nameof(BadNames))]
    public void A_bad_history_breaks_what_it_was_spoilt_for(string name)
    {
        var (breaks, before, spoil) = Bad[name];
        var story = Begin();
        before?.Invoke(story);
        story.Settle();
        spoil(story);

        Assert.Equal([breaks], Invariant.FindViolations(story.Told()).Select(violation => violation.Invariant).Distinct());
    }

    [Fact]
    public void Every_invariant_has_two_bad_histories() =>
        Assert.All(Invariant.All, invariant => Assert.True(Bad.Values.Count(bad => bad.Breaks == invariant.Name) >= 2, invariant.Name));

    // Alice on two devices, bob, carol and dave on one; alice talks with bob and with carol, and nobody with dave.
    private static Story Begin()
    {
        var story = new Story();
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

    private static Guid Ab(Story story) => story.Between("alice", "bob");

    private static Guid Ac(Story story) => story.Between("alice", "carol");

    // Of what is lost there are then no other traces than the ack.
    private static void SendToNobody(Story story, string content, string? tempId = null, bool isAnswered = true)
    {
        foreach (var name in story.Connections.Keys.ToArray())
            story.Close(name);
        story.Send("alice", null, Ac(story), content, tempId, isAnswered);
    }

    private static void Lose(Story story, Guid conversation, Func<View, bool> where)
    {
        foreach (var view in story.Views.Where(view => view.Messages.ContainsKey(conversation) && where(view)).ToArray())
        {
            story.Messages(view, conversation).RemoveAt(0);
            story.Views[story.Views.IndexOf(view)] = view with
            {
                Conversations = new Dictionary<Guid, ConversationView>(view.Conversations) { [conversation] = view.Conversations[conversation] with { Seq = 0, LastMessageId = null, Unread = 0 } },
                Unread = view.Unread.Where(part => part.Key != conversation).ToDictionary(),
                TotalUnread = view.TotalUnread - view.Unread.GetValueOrDefault(conversation),
            };
        }
    }

    private static void Edit(Story story, Guid conversation, Func<Message, Message> change)
    {
        foreach (var messages in story.Views.Where(view => view.Messages.ContainsKey(conversation)).Select(view => story.Messages(view, conversation)))
        {
            for (var i = 0; i < messages.Count; i++)
                messages[i] = change(messages[i]);
        }
    }

    // The first conversation of these views: alice's with bob, or the only one that somebody has.
    private static void Edit(Story story, Func<View, bool> where, Func<ConversationView, ConversationView> change)
    {
        foreach (var view in story.Views.Where(where).ToArray())
        {
            var first = view.Conversations.First();
            story.Views[story.Views.IndexOf(view)] = view with { Conversations = new Dictionary<Guid, ConversationView>(view.Conversations) { [first.Key] = change(first.Value) } };
        }
    }

    private static void Swap(List<ReceivedFrame> frames, string type)
    {
        var (first, second) = (frames.FindIndex(frame => frame.Type == type), frames.FindIndex(frames.FindIndex(frame => frame.Type == type) + 1, frame => frame.Type == type));
        (frames[first], frames[second]) = (frames[second], frames[first]);
    }

    private static void Exchange(List<Operation> operations, string earlier, string later)
    {
        int Find(string what) => operations.FindIndex(send => send.TempId == what || send.Content == what);
        var (first, second) = (operations[Find(earlier)], operations[Find(later)]);
        operations[Find(earlier)] = first with { Start = second.Start };
        operations[Find(later)] = second with { Start = first.Start };
    }

    private static void Lie(Story story, Func<Message, Message> lie)
    {
        var at = story.Operations.FindIndex(send => send.TempId == "t2");
        var send = story.Operations[at];
        story.Operations[at] = send with { Response = send.Response! with { Payload = Story.Json(new { tempId = "t2", message = Story.Shape(lie(send.Acked!), send.UserId) }) } };
    }

    private static void Answer(Story story, string tempId, Func<Response, Response?> change)
    {
        var at = story.Operations.FindLastIndex(send => send.TempId == tempId);
        story.Operations[at] = story.Operations[at] with { Response = change(story.Operations[at].Response!) };
    }

    private static void Blind(Story story, Func<Message, bool> to) => Turn(story, messages => messages.Where(message => !to(message)), hasMore: false);

    // The page that was read last is another one.
    private static void Turn(Story story, Func<IEnumerable<Message>, IEnumerable<Message>> page, bool hasMore)
    {
        var look = story.Operations[^1];
        var messages = page(look.Response!.Payload.GetProperty("messages").EnumerateArray().Select(Message.Read)).Select(message => Story.Shape(message, look.UserId));
        story.Operations[^1] = look with { Response = look.Response with { Payload = Story.Json(new { messages, hasMore }) } };
    }

    // Bob's first message was pushed to him as another one.
    private static void Reshow(Story story, Func<Message, Message> change)
    {
        var frames = story.Frames("B1");
        var at = frames.FindIndex(frame => frame.Type == "message.new");
        frames[at] = frames[at] with { Payload = Story.Json(new { message = Story.Shape(change(frames[at].Message!), Guid.Empty) }) };
    }

    private static void Acknowledge(Story story, long upTo) =>
        story.Operations[^1] = story.Operations[^1] with { Response = story.Operations[^1].Response! with { Payload = Story.Json(new { upTo }) } };

    private static Message Invented(Story story) => new(Guid.NewGuid(), Ab(story), 1, story.User("bob"), "I never said that", "once", null);

    private static void BlockedFor(Story story, int milliseconds)
    {
        story.Block("alice", "bob", "A1");
        story.Tick(milliseconds);
    }
}
