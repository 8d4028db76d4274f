using System.Net.WebSockets;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Claims;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;
using Chat.Edge;
using Chat.Features;
using Chat.Json;
using Chat.RateLimiting;
using Chat.Settings;
using Chat.Socket;
using Chat.Telemetry;
using Chat.Tokens;
using CsCheck;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Chat.Tests.Fuzz;

/// <summary>Readers accept or reject any input without throwing, and agree with a reference reader.</summary>
public sealed class ReaderFuzzTests
{
    private const int Runs = 20_000;

    private static readonly string[] Pieces = ["\0", "\ud800", "\udc00a", "😀", "a\ud83d", "\ud83d\ude00\ude00"];

    private static readonly Gen<string> Text = Gen.OneOf(
        Gen.String,
        Gen.Char.Array[0, 12].Select(units => new string(units)),
        Gen.Int[0, Pieces.Length - 1].Array[0, 4].Select(which => string.Concat(which.Select(i => Pieces[i]))));

    [Fact]
    public void An_envelope_is_accepted_exactly_when_a_reference_reader_accepts_it() =>
        Mutants.Bytes.Where(frame => Utf8.IsValid(frame)).Sample(
        frame =>
        {
            var isRead = Envelope.TryRead(frame, out var envelope);
            var expected = Expected(frame);
            Assert.Equal(expected is not null, isRead);
            if (expected is not { } wanted)
                return;
            Assert.Equal((wanted.Type, wanted.Id), (envelope.Type, envelope.Id));
            Assert.Equal(wanted.Payload, Encoding.UTF8.GetString(envelope.Payload.Span));
        },
        iter: Runs,
        print: Encoding.UTF8.GetString);

    [Fact]
    public void Random_bytes_are_not_an_envelope() =>
        Gen.Byte.Array[0, 64].Sample(bytes => Assert.False(Envelope.TryRead(bytes, out _)), iter: Runs);

    [Fact]
    public void A_payload_is_accepted_or_rejected_exactly_as_JSON_defines()
    {
        var types = typeof(Program).Assembly.GetTypes()
            .Where(type => Array.Exists(
                type.GetInterfaces(), contract => contract.IsGenericType && contract.GetGenericTypeDefinition() == typeof(IEvent<>)))
            .Select(type => (JsonTypeInfo)type.GetProperty("Json", BindingFlags.Static | BindingFlags.Public)!.GetValue(null)!)
            .ToArray();
        Assert.True(types.Length > 20);

        Gen.Select(Gen.Int[0, types.Length - 1], Mutants.Bytes).Sample(
            (which, frame) =>
            {
                if (!Envelope.TryRead(frame, out var envelope))
                    return;
                try
                {
                    JsonSerializer.Deserialize(envelope.Payload.Span, types[which]);
                }
                catch (JsonException failure)
                {
                    // The exception that the dispatcher handles; any other would be an INTERNAL_ERROR.
                    Assert.Equal(ErrorCode.ValidationError, ChatError.Malformed(failure).Code);
                }
            },
            iter: Runs);
    }

    [Fact]
    public void Text_is_valid_if_it_survives_UTF8_and_has_no_U0000() => Text.Sample(
        text =>
        {
            var survives = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) == text;
            Assert.Equal(survives && !text.Contains('\0', StringComparison.Ordinal), WireText.IsClean(text));
            if (survives)
                Assert.Equal(text.EnumerateRunes().Count(), WireText.Length(text));
        },
        iter: Runs);

    [Fact]
    public void Fragments_are_reassembled_into_the_original_frame() => Gen.Select(Mutants.Bytes, Gen.Int[0, 40].Array[0, 10]).Sample(
        (bytes, cuts) =>
        {
            var limits = new Limits { MaxFrameBytes = 150, MaxEmptyFragments = 3 };
            using var services = new ServiceCollection().AddMetrics().AddSingleton<ServerMetrics>().BuildServiceProvider();
            using var socket = new Fragments(bytes, cuts);
            using var reader =
                new FrameReader(socket, limits, new ActivityTracker(TimeProvider.System), services.GetRequiredService<ServerMetrics>());

            // The socket completes synchronously, so there is nothing to await.
            var reading = reader.ReadAsync();
            Assert.True(reading.IsCompleted);
            var (frame, end) = reading.Result;

            if (bytes.Length > limits.MaxFrameBytes || socket.EmptyFragments > limits.MaxEmptyFragments)
                Assert.Equal(Disconnect.MessageTooBig, end);
            else if (!Utf8.IsValid(bytes))
                Assert.Equal(Disconnect.NotUtf8, end);
            else
            {
                Assert.Null(end);
                Assert.Equal(bytes, frame.ToArray());
            }
        },
        iter: 3_000,
        threads: 1);

    [Fact]
    public void Unusable_values_in_settings_and_addresses_are_rejected_without_an_exception() => Text.Sample(
        text =>
        {
            Assert.All(SettingsCatalog.All, setting => setting.Validate(text));
            if (Proxies.Validate(text) is null)
                _ = Proxies.Options(Settings(text));
            if (ConversationCursor.TryRead(text, out var cursor) && text.Length > 0)
                Assert.True(ConversationCursor.TryRead(cursor.ToString(), out var again) && again == cursor);
            var claims = new ClaimsPrincipal(
                new ClaimsIdentity([new("sub", text), new("name", text), new("preferred_username", text), new("picture", text)]));
            _ = new SubjectMapper(Options.Create(new JwtSettings { Subjects = "any" })).UserOf(claims);
            var named = Identity.From(Guid.NewGuid(), claims, default);
            Assert.True(named.Username is null || WireText.IsClean(named.Username));
            Assert.True(Username.KeyOf(text) is not { } key || Username.KeyOf(key) == key);
        },
        iter: Runs);

    private static IConfigurationRoot Settings(string proxies) =>
        new ConfigurationBuilder().AddInMemoryCollection([new("Proxies:Known", proxies)]).Build();

    /// <summary>The envelope according to a reader of the whole document.</summary>
    private static (string Type, string? Id, string Payload)? Expected(byte[] frame)
    {
        try
        {
            using var document = JsonDocument.Parse(frame, new JsonDocumentOptions { MaxDepth = 32 });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                return null;
            var fields = document.RootElement.EnumerateObject().Select(field => (field.Name, field.Value))
                .Where(field => field.Name is "type" or "id" or "payload").ToArray();
            if (fields.DistinctBy(field => field.Name).Count() != fields.Length)
                return null;
            JsonElement? Find(string name, JsonValueKind kind) =>
                Array.Find(fields, field => field.Name == name).Value is var value && value.ValueKind == kind ? value : null;
            if (fields.Any(field => field.Name == "id" && field.Value.ValueKind != JsonValueKind.String))
                return null;
            if (fields.Any(field => field.Name == "payload" && field.Value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Null)))
                return null;
            // An absent or null payload counts as empty.
            var payload = Find("payload", JsonValueKind.Object) is { } given
                ? Encoding.UTF8.GetString(JsonMarshal.GetRawUtf8Value(given)) : "{}";
            return Find("type", JsonValueKind.String) is { } type
                ? (type.GetString()!, Find("id", JsonValueKind.String)?.GetString(), payload) : null;
        }
        catch (Exception refused) when (refused is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>A socket that delivers one frame in fragments of these lengths; the last takes the rest.</summary>
    private sealed class Fragments(byte[] bytes, int[] cuts) : WebSocket
    {
        private int given, fragment, inFragment;

        public int EmptyFragments { get; private set; }

        public override WebSocketCloseStatus? CloseStatus => null;

        public override string? CloseStatusDescription => null;

        public override WebSocketState State => WebSocketState.Open;

        public override string? SubProtocol => null;

        public override ValueTask<ValueWebSocketReceiveResult> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            // A zero-byte read: data is available.
            if (buffer.Length == 0)
                return new(new ValueWebSocketReceiveResult(0, WebSocketMessageType.Text, endOfMessage: false));
            var left = fragment < cuts.Length ? Math.Min(cuts[fragment] - inFragment, bytes.Length - given) : bytes.Length - given;
            var count = Math.Min(left, buffer.Length);
            bytes.AsMemory(given, count).CopyTo(buffer);
            (given, inFragment) = (given + count, inFragment + count);
            var isEnd = false;
            if (count == left)
            {
                isEnd = fragment >= cuts.Length;
                EmptyFragments += count == 0 && !isEnd ? 1 : 0;
                (fragment, inFragment) = (fragment + 1, 0);
            }

            return new(new ValueWebSocketReceiveResult(count, WebSocketMessageType.Text, isEnd));
        }

        public override void Abort()
        {
        }

        public override void Dispose()
        {
        }

        public override Task CloseAsync(WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) =>
            Task.CompletedTask;

        public override Task CloseOutputAsync(
            WebSocketCloseStatus closeStatus, string? statusDescription, CancellationToken cancellationToken) => Task.CompletedTask;

        public override Task<WebSocketReceiveResult> ReceiveAsync(ArraySegment<byte> buffer, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public override Task SendAsync(ArraySegment<byte> buffer, WebSocketMessageType messageType, bool endOfMessage,
            CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
