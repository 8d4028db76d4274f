using Chat.Storage;

namespace Chat.Rest;

/// <summary>The data of the contract's examples.</summary>
internal static class Example
{
    public static readonly Guid Alice = Guid.Parse("1192c622-5a0c-4cf3-9f3e-7c1d2e3f4a5b");
    public static readonly Guid Bob = Guid.Parse("bea38d44-1f0e-4b7d-8a6c-5e4d3c2b1a09");
    public static readonly Guid Conversation = Guid.Parse("66cfdbe9-2b1a-4c3d-8e7f-6a5b4c3d2e1f");
    public static readonly DateTimeOffset At = new(2026, 1, 31, 9, 30, 0, 136, TimeSpan.Zero);

    /// <summary>A message as its sender sees it.</summary>
    public static readonly Message Hello = new()
    {
        Id = Guid.Parse("1f13ac2c-7d6e-4f5a-9b8c-0d1e2f3a4b5c"),
        ConversationId = Conversation,
        Seq = 1,
        ChangedSeq = 1,
        SenderId = Alice,
        Type = "text",
        Content = "hello",
        SentAt = At,
        TempId = "t1",
    };
}
