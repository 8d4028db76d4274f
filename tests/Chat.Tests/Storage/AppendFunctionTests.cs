using Chat.Features;
using Chat.Storage;
using Chat.Tests.Fixtures;
using Marten;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Chat.Tests.Storage;

/// <summary>With and without the initial lookup, the function stores the same and returns the same for the rest.</summary>
public sealed class AppendFunctionTests(SharedCluster cluster) : IClassFixture<SharedCluster>
{
    private readonly ChatApp app = cluster.First;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Changes_in_several_conversations_are_numbered_in_each(bool optimistic)
    {
        Guid[] conversations = [await NewConversation(), await NewConversation(), await NewConversation()];
        // Neither in the order of the ids nor one conversation after the other.
        var first =
            await Append(optimistic, [.. conversations.OrderDescending().Concat(conversations).Concat(conversations.Order()).Select(In)]);
        var then = await Append(optimistic, [.. conversations.Select(In)]);

        Assert.All(first.Concat(then), answer => Assert.Equal(AppendOutcome.Stored, answer.Outcome));
        Assert.Equal([1, 1, 1, 2, 2, 2, 3, 3, 3], first.Select(answer => answer.Message!.Seq));
        Assert.Equal([4, 4, 4], then.Select(answer => answer.Message!.Seq));
        await using var session = app.Services.GetRequiredService<IDocumentStore>().QuerySession();
        foreach (var answer in then)
        {
            var head = (await session.LoadAsync<ConversationHead>(answer.Message!.ConversationId))!;
            Assert.Equal((4L, answer.Message.Id, answer.Message.SentAt), (head.Seq, head.LastMessageId, head.UpdatedAt));
            Assert.Equal(answer.Message, await session.LoadAsync<Message>(answer.Message.Id));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_retry_is_found_and_fails_no_other_draft(bool optimistic)
    {
        var (conversation, other) = (await NewConversation(), await NewConversation());
        var repeated = In(conversation);
        await Append(optimistic, [In(conversation), repeated]);

        var answers = await Append(optimistic,
            [In(conversation), repeated with { Message = repeated.Message with { Content = "other words" } }, In(other), In(conversation)]);

        Assert.Equal([AppendOutcome.Stored, AppendOutcome.Repeated, AppendOutcome.Stored, AppendOutcome.Stored],
            answers.Select(answer => answer.Outcome));
        Assert.Equal([3, 2, 1, 4], answers.Select(answer => answer.Message!.Seq));
        Assert.Equal("hello", answers[1].Message!.Content);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Blocked_drafts_and_missing_conversations_are_rejected_alone(bool optimistic)
    {
        var (alice, bob) = (Guid.NewGuid(), Guid.NewGuid());
        var (conversation, nowhere) = (await NewConversation(), Guid.NewGuid());
        await using (var session = app.Services.GetRequiredService<IDocumentStore>().LightweightSession())
        {
            session.Store(
                new Block { Id = Block.IdOf(alice, bob), BlockerId = alice, BlockedId = bob, BlockedAt = DateTimeOffset.UnixEpoch });
            await session.SaveChangesAsync();
        }

        var answers = await Append(optimistic, [In(conversation),
            In(conversation) with { Blocks = [Block.IdOf(bob, alice), Block.IdOf(alice, bob)] }, In(nowhere), In(conversation)]);

        Assert.Equal([AppendOutcome.Stored, AppendOutcome.Blocked, AppendOutcome.NoConversation, AppendOutcome.Stored],
            answers.Select(answer => answer.Outcome));
        Assert.Equal([1, 2], answers.Where(answer => answer.Message is not null).Select(answer => answer.Message!.Seq));
    }

    private static AppendCandidate In(Guid conversation) => new(
        new Message
        {
            Id = Guid.NewGuid(),
            ConversationId = conversation,
            Seq = 0,
            ChangedSeq = 0,
            SenderId = Guid.NewGuid(),
            Type = SendMessage.Text,
            Content = "hello",
            SentAt = DateTimeOffset.UnixEpoch,
            TempId = "t1",
        },
        []);

    private async Task<Appended[]> Append(bool optimistic, AppendCandidate[] candidates)
    {
        await using var connection = await app.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync();
        return await AppendFunction.CallAsync(
            connection, app.Services.GetRequiredService<TableNames>(), candidates, optimistic, CancellationToken.None);
    }

    private Task<Guid> NewConversation() => app.OpenDirect(ChatApp.NewUser(), ChatApp.NewUser());
}
