using System.Text.Json.Serialization.Metadata;
using Chat.Slices;

namespace Chat.Features;

/// <summary>Registers all features, one line each. Their JSON types are listed in <see cref="FeatureJson"/>.</summary>
internal static class FeatureSlices
{
    public static void AddAll(SliceBuilder slices)
    {
        slices.Services.AddSingleton<IJsonTypeInfoResolver>(FeatureJson.Wire);
        slices
            .AddSlice<PingSlice>()
            .AddSlice<UserDirectorySlice>()
            .AddSlice<ConversationsSlice>()
            .AddSlice<UnreadSlice>()
            .AddSlice<DeliverySlice>()
            .AddSlice<SendMessageSlice>()
            .AddSlice<HistorySlice>()
            .AddSlice<SyncSlice>()
            .AddSlice<ReadReceiptsSlice>()
            .AddSlice<BlockingSlice>()
            .AddSlice<PresenceSlice>()
            .AddSlice<TypingSlice>()
            .AddSlice<RevocationSlice>()
            .AddSlice<WarmUpSlice>()
            .AddSlice<HealthSlice>()
            .AddSlice<DevTokenSlice>()
            .AddSlice<WebClientSlice>();
    }
}
