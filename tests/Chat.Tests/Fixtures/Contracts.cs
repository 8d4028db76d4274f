using System.Text.Json;
using System.Text.Json.Nodes;
using NJsonSchema;
using Newtonsoft.Json.Linq;
using YamlDotNet.Serialization;

namespace Chat.Tests.Fixtures;

/// <summary>
/// The two contracts, <c>docs/asyncapi.yaml</c> and <c>docs/openapi.json</c>. The suite validates every frame and every REST
/// response of all tests against them. For clients all objects are open, since fields may be added; here they are closed,
/// so that the server sends nothing undocumented.
/// </summary>
internal static class Contracts
{
    private const string Problem = "problem";
    private static readonly Lazy<JsonSchema> All = new(Build);

    /// <summary>The AsyncAPI file.</summary>
    public static JsonNode AsyncApi { get; } = ReadYaml(Checkout.PathOf("docs", "asyncapi.yaml"));

    /// <summary>The OpenAPI file.</summary>
    public static JsonNode OpenApi { get; } = JsonNode.Parse(File.ReadAllText(Checkout.PathOf("docs", "openapi.json")))!;

    /// <summary>The events that clients send, and those that the server sends.</summary>
    public static (IReadOnlySet<string> FromClients, IReadOnlySet<string> FromServer) Events { get; } = ReadEvents();

    /// <summary>Returns what is wrong with a frame from the server; null if it is valid.</summary>
    public static string? FaultOf(JsonElement frame)
    {
        var type = frame.TryGetProperty("type", out var name) ? name.GetString()! : "";
        return Events.FromServer.Contains(type)
            ? ErrorIn($"event {type}", frame) : $"The contract knows no event '{type}' of the server's.";
    }

    /// <summary>Returns what is wrong with a REST response; null if it is valid.</summary>
    public static string? FaultOf(string method, string path, int status, string? mediaType, string body)
    {
        if (TemplateOf(path) is not { } template || OpenApi["paths"]![template]![method.ToLowerInvariant()] is not { } operation)
            return Unlisted(path, status, mediaType, body);
        if (operation["responses"]![$"{status}"] is not { } response)
            return $"{method} {template} is not to answer {status}: {body}";
        if (response["content"] is not { } content)
            return body.Length == 0 ? null : $"{method} {template} has no body with {status}: {body}";
        return mediaType is null || content[mediaType] is null
            ? $"{method} {template} answers {status} in {mediaType}"
            : ErrorIn($"answer {method.ToLowerInvariant()} {template} {status} {mediaType}", body);
    }

    /// <summary>Returns what is wrong with JSON according to a schema of the contracts.</summary>
    public static string? ErrorIn(string schema, string json)
    {
        using var document = JsonDocument.Parse(json);
        return ErrorIn(schema, document.RootElement);
    }

    private static string? ErrorIn(string schema, JsonElement json)
    {
        var faults = All.Value.Definitions[schema].Validate(Token(json));
        return faults.Count == 0
            ? null : $"{schema}: {string.Join("; ", faults.Select(fault => fault.ToString().Trim()))} in {json.GetRawText()}";
    }

    // The validator's own reader fails on numbers of arbitrary length, which a pong may echo.
    private static JToken Token(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => new JObject(json.EnumerateObject().Select(field => new JProperty(field.Name, Token(field.Value)))),
        JsonValueKind.Array => new JArray(json.EnumerateArray().Select(Token)),
        JsonValueKind.Number => json.TryGetInt64(out var whole) ? new JValue(whole) : new JValue(json.GetDouble()),
        JsonValueKind.String => new JValue(json.GetString()),
        JsonValueKind.Null => JValue.CreateNull(),
        _ => new JValue(json.GetBoolean()),
    };

    // Undocumented routes and methods must return problem details; only the socket endpoint differs.
    private static string? Unlisted(string path, int status, string? mediaType, string body) => (status, mediaType) switch
    {
        (404 or 405, "application/problem+json") => ErrorIn(Problem, body),
        ( >= 400, "application/problem+json") when path.TrimEnd('/') == "/chat/ws" => ErrorIn(Problem, body),
        _ when path.StartsWith("/openapi/", StringComparison.Ordinal) || path.StartsWith("/docs", StringComparison.Ordinal) => null,
        _ => $"{path} is not in the contract and answers {status}, {mediaType}: {body}",
    };

    private static string? TemplateOf(string path)
    {
        var parts = path.Split('/');
        return OpenApi["paths"]!.AsObject().Select(entry => entry.Key).FirstOrDefault(template =>
        {
            var wanted = template.Split('/');
            return wanted.Length == parts.Length && wanted.Zip(parts)
                .All(pair => pair.First == pair.Second || (pair.First is ['{', ..] && Guid.TryParse(pair.Second, out _)));
        });
    }

    private static (IReadOnlySet<string> FromClients, IReadOnlySet<string> FromServer) ReadEvents()
    {
        var operations =
            AsyncApi["operations"]!.AsObject().Select(entry => entry.Value!).ToLookup(operation => (string)operation["action"]!);
        IEnumerable<string> Named(JsonNode? messages) => messages!.AsArray().Select(message => ((string)message!["$ref"]!).Split('/')[^1]);
        return (
            operations["receive"].SelectMany(operation => Named(operation["messages"])).ToHashSet(),
            operations["send"].SelectMany(operation => Named(operation["messages"]))
                .Concat(operations["receive"].SelectMany(operation => Named(operation["reply"]!["messages"])))
                .ToHashSet());
    }

    /// <summary>A single schema that contains all the others, because references are resolved within one.</summary>
    private static JsonSchema Build()
    {
        var definitions = new JsonObject();
        foreach (var (name, schema) in AsyncApi["components"]!["schemas"]!.AsObject())
            definitions[$"socket.{name}"] = Closed(schema!, "socket.");
        foreach (var (name, message) in AsyncApi["components"]!["messages"]!.AsObject())
            definitions[$"event {name}"] = Closed(message!["payload"]!, "socket.");
        foreach (var (name, schema) in OpenApi["components"]!["schemas"]!.AsObject())
            definitions[$"rest.{name}"] = Closed(schema!, "rest.");
        definitions[Problem] = new JsonObject { ["$ref"] = "#/definitions/rest.ProblemDetails" };
        foreach (var (path, operations) in OpenApi["paths"]!.AsObject())
        {
            foreach (var (method, operation) in operations!.AsObject())
            {
                if (operation!["requestBody"]?["content"]!["application/json"]!["schema"] is { } asked)
                    definitions[$"body {method} {path}"] = Closed(asked, "rest.");
                foreach (var (status, response) in operation["responses"]!.AsObject())
                {
                    foreach (var (mediaType, content) in response!["content"]?.AsObject() ?? [])
                        definitions[$"answer {method} {path} {status} {mediaType}"] = Closed(content!["schema"]!, "rest.");
                }
            }
        }

        return JsonSchema.FromJsonAsync(new JsonObject { ["definitions"] = definitions }.ToJsonString()).GetAwaiter().GetResult();
    }

    private static JsonNode Closed(JsonNode schema, string prefix)
    {
        var closed = schema.DeepClone();
        Close(closed, prefix);
        return closed;
    }

    private static void Close(JsonNode? node, string prefix)
    {
        if (node is JsonArray list)
        {
            foreach (var item in list)
                Close(item, prefix);
        }

        if (node is not JsonObject schema)
            return;
        foreach (var (_, part) in schema.ToArray())
            Close(part, prefix);
        if (schema["$ref"] is JsonValue target)
            schema["$ref"] = $"#/definitions/{prefix}{((string)target!).Split('/')[^1]}";
        // The validator supports a one-element enum but not const.
        if (schema["const"] is JsonValue only)
            schema["enum"] = new JsonArray(only.DeepClone());
        // The validator counts UTF-16 code units instead of characters.
        if (schema["maxLength"] is JsonValue longest && schema.Remove("maxLength"))
            schema["pattern"] = $@"^([\uD800-\uDBFF][\uDC00-\uDFFF]|[\s\S]){{0,{longest}}}$";
        if (schema["properties"] is JsonObject { } properties && properties.All(property => property.Value is JsonObject))
            schema["additionalProperties"] ??= false;
    }

    private static JsonNode ReadYaml(string path)
    {
        var yaml =
            new DeserializerBuilder().WithAttemptingUnquotedStringTypeDeserialization().Build().Deserialize<object>(File.ReadAllText(path));
        return JsonNode.Parse(new SerializerBuilder().JsonCompatible().Build().Serialize(yaml))!;
    }
}

/// <summary>Validates every response against the contract.</summary>
internal sealed class ConformingHandler(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        await response.Content.LoadIntoBufferAsync(cancellationToken);
        var fault = Contracts.FaultOf(
            request.Method.Method,
            request.RequestUri!.AbsolutePath,
            (int)response.StatusCode,
            response.Content.Headers.ContentType?.MediaType,
            await response.Content.ReadAsStringAsync(cancellationToken));
        Assert.True(fault is null, fault);
        return response;
    }
}
