using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Access;

/// <summary>Who asks. Every endpoint and every event has an answer for each of them.</summary>
public enum Who
{
    /// <summary>Somebody in the conversation that is asked about.</summary>
    Member,

    /// <summary>Somebody in it whom the other one has blocked.</summary>
    Blocked,

    /// <summary>Somebody with a good token who is not in it.</summary>
    Stranger,

    /// <summary>The same with the administrators' scope, which opens no conversation.</summary>
    Administrator,

    /// <summary>Somebody without a token.</summary>
    Anonymous,

    /// <summary>A member whose token has run out.</summary>
    Expired,
}

/// <summary>
/// For one cell of the matrix: two people, their conversation with one message, and the one who asks. There is no
/// ex-member among them, because nobody leaves a direct conversation, and there is no other kind yet.
/// </summary>
internal sealed class Cast
{
    private Cast(ChatApp app, Who who, TestUser other, TestUser member, Guid conversation)
    {
        App = app;
        Who = who;
        Other = other;
        Conversation = conversation;
        Caller = who is Who.Member or Who.Blocked or Who.Expired ? member : ChatApp.NewUser();
        Token = who switch
        {
            Who.Anonymous => null,
            Who.Expired => app.TokenFor(member, TimeSpan.FromMinutes(-5)),
            Who.Administrator => app.TokenFor(Caller, scope: "chat.admin"),
            _ => app.TokenFor(Caller),
        };
    }

    public ChatApp App { get; }

    public Who Who { get; }

    /// <summary>The member who does not ask.</summary>
    public TestUser Other { get; }

    public TestUser Caller { get; }

    public Guid Conversation { get; }

    /// <summary>What the caller shows; null for nothing.</summary>
    public string? Token { get; }

    public static async Task<Cast> Gather(ChatApp app, Who who)
    {
        var (other, member) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(other, member);
        Assert.True((await app.SendOverRest(other, conversation, "first")).IsSuccessStatusCode);
        // The server has seen the member, too.
        Assert.True((await app.SendOverRest(member, conversation, "second")).IsSuccessStatusCode);
        if (who == Who.Blocked)
            Assert.True((await app.Http(other).PutAsync($"/chat/blocks/{member.Id}", null)).IsSuccessStatusCode);
        return new Cast(app, who, other, member, conversation);
    }
}
