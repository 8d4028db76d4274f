using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Chat.Tokens;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Chat.Tests.Conformance;

/// <summary>
/// Checks the contracts, docs/asyncapi.yaml and docs/openapi.json, against the server's lists, the protocol and themselves.
/// All other tests check the server's output against them: see <see cref="Contracts"/>.
/// </summary>
public sealed class ContractTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private static readonly JsonSerializerOptions Readable =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static TheoryData<string> EventNames => [.. Messages().Select(message => message.Key)];

    [Fact]
    public async Task The_OpenAPI_file_is_what_the_server_serves()
    {
        using var answer = await shared.App.Http().GetAsync("/openapi/v1.json");
        var served = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;

        Assert.Equal("3.1", ((string)served["openapi"]!)[..3]);
        IsUpToDate(served.ToJsonString(Readable) + "\n", "openapi.json");
    }

    [Fact]
    public void The_events_page_matches_the_AsyncAPI_file() => IsUpToDate(EventsPage.Of(Contracts.AsyncApi), "events.md");

    [Fact]
    public void The_AsyncAPI_file_has_exactly_the_servers_events()
    {
        var fromClients = shared.App.Services.GetRequiredService<SocketDispatcher>().Names.ToHashSet();
        var wire = typeof(Program).Assembly.GetExportedTypes()
            .Where(type =>
                type.GetInterfaces().Any(contract => contract.IsGenericType && contract.GetGenericTypeDefinition() == typeof(IEvent<>)))
            .Select(type => (string)type.GetProperty("Name")!.GetValue(null)!)
            .ToHashSet();

        Assert.Equal(fromClients.Order(), Contracts.Events.FromClients.Order());
        Assert.Equal(wire.Except(fromClients).Order(), Contracts.Events.FromServer.Order());
        Assert.Equal(wire.Order(), Messages().Select(message => message.Key).Order());
        Assert.Equal(
            wire.Order(), Contracts.AsyncApi["channels"]!["socket"]!["messages"]!.AsObject().Select(message => message.Key).Order());
    }

    [Fact]
    public void The_OpenAPI_file_has_exactly_the_servers_routes()
    {
        string[] others = ["/chat/ws", "/docs"];
        var served = from endpoint in shared.App.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints)
            .OfType<RouteEndpoint>()
                     let path = $"/{endpoint.RoutePattern.RawText!.Trim('/').Replace(":guid", "", StringComparison.Ordinal)}"
                     where !others.Any(other => path == other || path.StartsWith($"{other}/", StringComparison.Ordinal))
                     where endpoint.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>()?.ExcludeFromDescription != true
                     from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods
                     where method != "HEAD"
                     select $"{method} {path}";
        var listed = from path in Contracts.OpenApi["paths"]!.AsObject()
                     from operation in path.Value!.AsObject()
                     select $"{operation.Key.ToUpperInvariant()} {path.Key}";

        Assert.Equal(listed.Order(), served.Order());
    }

    [Fact]
    public void The_lists_of_errors_and_close_codes_match_the_server()
    {
        var schemas = Contracts.AsyncApi["components"]!["schemas"]!;
        var closes =
            typeof(Disconnect).GetFields().Select(field => field.GetValue(null)).OfType<Disconnect>().DistinctBy(close => close.Code);

        Assert.Equal(Enum.GetValues<ErrorCode>().Select(Wire), Texts(schemas["ErrorCode"]!["enum"]!));
        Assert.Equal(Enum.GetValues<TokenFault>().Select(Wire), Texts(schemas["AuthFailed"]!["properties"]!["code"]!["enum"]!));
        Assert.Equal(
            closes.Select(close => (close.Code, close.Code is 1012 or 1013 or (>= 4000 and < 4500))).Order(),
            Contracts.AsyncApi["x-close-codes"]!.AsArray().Select(close => ((int)close!["code"]!, (bool)close["reconnect"]!)).Order());
    }

    [Theory]
    [MemberData(nameof(EventNames))]
    public void Every_event_is_in_the_protocol_and_has_an_example(string name)
    {
        var examples = Messages()[name]!["examples"]!.AsArray();

        Assert.Matches($@"(?<![\w.]){Regex.Escape(name)}(?![\w]|\.\w)", File.ReadAllText(Checkout.PathOf("docs", "protocol.md")));
        Assert.NotEmpty(examples);
        Assert.All(examples, example => Assert.Null(Contracts.ErrorIn($"event {name}", example!["payload"]!.ToJsonString())));
    }

    [Theory]
    [MemberData(nameof(EventNames))]
    public void An_invalid_field_is_detected(string name)
    {
        var message = Messages()[name]!;
        var example = message["examples"]![0]!["payload"]!;

        var mutants = SchemaMutations.Of(example, message["payload"]!, Contracts.AsyncApi).ToArray();

        Assert.NotEmpty(mutants);
        Assert.All(mutants, mutant => Assert.True(Contracts.ErrorIn($"event {name}", mutant) is not null, $"Accepted: {mutant}."));
    }

    [Fact]
    public void Every_response_and_body_has_an_example_that_detects_invalid_fields()
    {
        var mutants = 0;
        foreach (var (schema, content) in Contents())
        {
            Assert.True(content["example"] is not null, $"{schema} has no example.");
            Assert.Null(Contracts.ErrorIn(schema, content["example"]!.ToJsonString()));
            foreach (var mutant in SchemaMutations.Of(content["example"]!, content["schema"]!, Contracts.OpenApi))
            {
                Assert.True(Contracts.ErrorIn(schema, mutant) is not null, $"{schema}: accepted {mutant}.");
                mutants++;
            }
        }

        Assert.True(mutants > 100);
    }

    [Fact]
    public void Every_operation_is_described()
    {
        string[] open = ["/health/", "/dev/", "/client.json"];
        foreach (var (path, operations) in Contracts.OpenApi["paths"]!.AsObject())
        {
            foreach (var (method, operation) in operations!.AsObject())
            {
                var what = $"{method} {path}";
                Assert.All(["operationId", "summary", "description"],
                    field => Assert.True(!string.IsNullOrWhiteSpace((string?)operation![field]), $"{what} has no {field}."));
                Assert.All(operation!["parameters"]?.AsArray() ?? [],
                    parameter => Assert.True(parameter!["description"] is not null, $"{what}: {parameter["name"]} has no description."));
                // Empty where no token is required, and never absent.
                Assert.Equal(
                    !open.Any(start => path.StartsWith(start, StringComparison.Ordinal)), operation["security"]!.AsArray().Count > 0);
                var responses = operation["responses"]!.AsObject();
                Assert.NotNull(responses["405"]?["headers"]?["Allow"]);
                Assert.All(["429", "503"], status => Assert.True(responses[status] is null
                    || path == "/health/ready" || responses[status]!["headers"]?["Retry-After"] is not null, $"{what}: {status}"));
                Assert.True(!path.Contains('{', StringComparison.Ordinal) || responses["404"] is not null, what);
                Assert.Equal(operation["requestBody"] is not null, responses["415"] is not null && responses["408"] is not null);
            }
        }
    }

    [Fact]
    public async Task The_page_loads_nothing_from_elsewhere()
    {
        using var http = shared.App.Http();
        using var answer = await http.GetAsync("/docs/");
        var page = await answer.Content.ReadAsStringAsync();
        var policy = Assert.Single(answer.Headers.GetValues("Content-Security-Policy"));

        Assert.DoesNotContain("//", page.Replace("</", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.StartsWith("default-src 'none'; script-src 'self' 'nonce-", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("http", policy, StringComparison.Ordinal);
    }

    // Generated files that are committed to be readable without a build.
    private static void IsUpToDate(string expected, string name)
    {
        var path = Checkout.PathOf("docs", name);
        if (Environment.GetEnvironmentVariable("CHAT_RENEW") == "1")
            File.WriteAllText(path, expected);
        Assert.True(
            File.ReadAllText(path) == expected,
            $"docs/{name} is out of date. CHAT_RENEW=1 dotnet test --filter ContractTests writes it anew; then read what has changed, since other people's clients rely on it.");
    }

    private static JsonObject Messages() => Contracts.AsyncApi["components"]!["messages"]!.AsObject();

    private static IEnumerable<(string Schema, JsonNode Content)> Contents() =>
        from path in Contracts.OpenApi["paths"]!.AsObject()
        from operation in path.Value!.AsObject()
        from content in Contents(operation.Key, path.Key, operation.Value!)
        select content;

    private static IEnumerable<(string Schema, JsonNode Content)> Contents(string method, string path, JsonNode operation)
    {
        if (operation["requestBody"]?["content"]!["application/json"] is { } asked)
            yield return ($"body {method} {path}", asked);
        foreach (var (status, response) in operation["responses"]!.AsObject())
        {
            foreach (var (mediaType, content) in response!["content"]?.AsObject() ?? [])
                yield return ($"answer {method} {path} {status} {mediaType}", content!);
        }
    }

    private static IEnumerable<string> Texts(JsonNode list) => list.AsArray().Select(text => (string)text!);

    private static string Wire<T>(T code) => JsonNamingPolicy.SnakeCaseUpper.ConvertName($"{code}");
}
