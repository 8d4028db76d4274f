using Chat.Features;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Access;

/// <summary>The callers of the access matrices. Every endpoint and every event has an answer for each of them.</summary>
public enum Who
{
    /// <summary>A member of the conversation.</summary>
    Member,

    /// <summary>A member whom the other member has blocked.</summary>
    Blocked,

    /// <summary>A user with a valid token who is not a member.</summary>
    Stranger,

    /// <summary>A non-member with the administrator scope, which grants no access to conversations.</summary>
    Administrator,

    /// <summary>A caller without a token.</summary>
    Anonymous,

    /// <summary>A member with an expired token.</summary>
    Expired,
}

/// <summary>
/// The users of one matrix cell: two members, their conversation with one message, and the caller. There is no ex-member,
/// because direct conversations, the only kind so far, cannot be left.
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

    /// <summary>The member who is not the caller.</summary>
    public TestUser Other { get; }

    public TestUser Caller { get; }

    public Guid Conversation { get; }

    /// <summary>The caller's token; null for none.</summary>
    public string? Token { get; }

    public static async Task<Cast> Gather(ChatApp app, Who who)
    {
        var (other, member) = (ChatApp.NewUser(), ChatApp.NewUser());
        var conversation = await app.OpenDirect(other, member);
        Assert.True((await app.SendOverRest(other, conversation, "first")).IsSuccessStatusCode);
        // The server must know the other member as well.
        Assert.True((await app.SendOverRest(member, conversation, "second")).IsSuccessStatusCode);
        if (who == Who.Blocked)
            Assert.True((await app.Http(other).PutAsync($"/chat/blocks/{member.Id}", null)).IsSuccessStatusCode);
        return new Cast(app, who, other, member, conversation);
    }
}
