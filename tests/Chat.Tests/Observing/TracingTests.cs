using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Chat.Features;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Observing;

/// <summary>One trace covers a message; without listeners there is none.</summary>
public sealed class TracingTests
{
    [Fact]
    public async Task One_trace_covers_a_message_from_frame_to_commit_to_push_on_another_node()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = Listen(spans, Tracing.Name, "Npgsql");
        await using var nodes = await TwoNodes.Start();
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await nodes.One.OpenDirect(alice, bob);
        await using var atAlice = await nodes.One.Connect(alice);
        await using var atBob = await nodes.Two.Connect(bob);

        await atAlice.SendMessage(conversation, "followed", "t1");
        await atBob.NextMessage();
        await nodes.Settle((alice, atAlice), (bob, atBob));

        var commit = Assert.Single(spans,
            span => span.OperationName == "message.commit" && span.GetTagItem("chat.conversation.id") is Guid id && id == conversation);
        Assert.Equal(1L, commit.GetTagItem("chat.message.seq"));
        var own = spans.Where(span => span.TraceId == commit.TraceId).ToArray();
        var frame = Assert.Single(own, span => span.OperationName == "message.send");
        Assert.Equal((ActivityKind.Server, default), (frame.Kind, frame.ParentSpanId));
        var batch = Assert.Single(own, span => span.OperationName == "log.batch");
        Assert.Equal((frame.SpanId, frame.SpanId), (batch.ParentSpanId, commit.ParentSpanId));
        Assert.Contains(own, span => span.Source.Name == "Npgsql" && span.ParentSpanId == batch.SpanId);
        var here = Assert.Single(own, span => span is { OperationName: "message.push", Kind: ActivityKind.Producer });
        Assert.Equal(commit.SpanId, here.ParentSpanId);
        // One for each member with a connection to the other node.
        var there = Assert.Single(own, span => span is { OperationName: "message.push", Kind: ActivityKind.Consumer });
        Assert.Equal((here.SpanId, true), (there.ParentSpanId, there.HasRemoteParent));
    }

    [Fact]
    public async Task Over_REST_the_request_is_the_root_span_and_a_rejection_is_an_error()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = Listen(spans, Tracing.Name, "Microsoft.AspNetCore");
        await using var app = await ChatApp.Start();
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(alice, bob);
        await using var atAlice = await app.Connect(alice);

        await app.SendOverRest(alice, conversation, "followed");
        await atAlice.Ask("message.read", new { conversationId = conversation, upTo = 71 });
        await atAlice.Settle();

        var commit = Assert.Single(spans,
            span => span.OperationName == "message.commit" && span.GetTagItem("chat.conversation.id") is Guid id && id == conversation);
        Assert.NotEqual(default, commit.ParentSpanId);
        await Eventually.Until("the request has ended",
            () => spans.Any(span => span.SpanId == commit.ParentSpanId && span.Source.Name == "Microsoft.AspNetCore"));
        Assert.Contains(
            spans,
            span =>
                span is { OperationName: "message.read", Status: ActivityStatusCode.Error, StatusDescription: "This sequence number does not exist in the conversation." });
    }

    [Fact]
    public void An_unsampled_node_event_carries_no_trace()
    {
        var message = new Message
        {
            Id = Guid.NewGuid(),
            ConversationId = Guid.NewGuid(),
            Seq = 1,
            ChangedSeq = 1,
            SenderId = Guid.NewGuid(),
            Type = "text",
            Content = "hi",
            SentAt = DateTimeOffset.UnixEpoch
        };

        Assert.DoesNotContain(
            "trace", JsonSerializer.Serialize(new ChangeCommitted(message), ChangeCommitted.Json), StringComparison.OrdinalIgnoreCase);
        Assert.Null(Tracing.Push(origin: null));
        Assert.Null(Tracing.Push("not a traceparent"));
        Assert.Null(Tracing.Commit(sent: null));
    }

    private static ActivityListener Listen(ConcurrentQueue<Activity> spans, params string[] sources)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = source => sources.Contains(source.Name),
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }
}
