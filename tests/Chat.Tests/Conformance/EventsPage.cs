using System.Text;
using System.Text.Json.Nodes;

namespace Chat.Tests.Conformance;

/// <summary>Generates docs/events.md from the AsyncAPI file.</summary>
internal static class EventsPage
{
    public static string Of(JsonNode document)
    {
        var page = new StringBuilder();
        page.Append("# The events of the socket\n\n");
        page.Append(
            "Generated from [asyncapi.yaml](asyncapi.yaml), which is the contract; edit that file. [protocol.md](protocol.md) explains the protocol in prose.\n\n");
        page.Append(document["info"]!["description"]).Append('\n');
        foreach (var tag in document["info"]!["tags"]!.AsArray())
        {
            page.Append($"## {tag!["name"]}\n\n{tag["description"]}\n\n");
            var operations = document["operations"]!.AsObject().Select(entry => entry.Value!)
                .Where(operation => (string)operation["tags"]![0]!["name"]! == (string)tag["name"]!);
            foreach (var operation in operations)
                Operation(page, operation, document);
        }

        page.Append("## closes\n\n| code | why | reconnect? |\n| --- | --- | --- |\n");
        foreach (var close in document["x-close-codes"]!.AsArray())
            page.Append($"| {close!["code"]} | {close["meaning"]} | {((bool)close["reconnect"]! ? "yes" : "no")} |\n");
        page.Append("\n## Events\n\n");
        foreach (var (name, message) in document["components"]!["messages"]!.AsObject())
            Event(page, name, message!, document);
        page.Append("## Shared types\n\n");
        var payloads = document["components"]!["messages"]!.AsObject()
            .Select(message => Last(message.Value!["payload"]!["properties"]!["payload"]!)).ToHashSet();
        foreach (var (name, schema) in document["components"]!["schemas"]!.AsObject().Where(schema => !payloads.Contains(schema.Key)))
        {
            page.Append($"### {name}\n\n{Text(schema!["description"])}\n\n");
            if (schema["properties"] is null)
                page.Append($"{Kind(schema)}\n\n");
            else
                Fields(page, schema);
        }

        return page.ToString().TrimEnd() + "\n";
    }

    private static void Operation(StringBuilder page, JsonNode operation, JsonNode document)
    {
        var events = string.Join(", ", operation["messages"]!.AsArray().Select(message => Link(Last(message!))));
        var answers = string.Join(", ", operation["reply"]?["messages"]!.AsArray().Select(message => Link(Last(message!))) ?? []);
        page.Append(
            (string)operation["action"]! == "receive" ? $"- You send {events}, and get {answers}. " : $"- The server pushes {events}. ");
        page.Append($"{operation["summary"]} {Text(operation["description"])}".TrimEnd()).Append('\n');
        if (operation == document["operations"]!.AsObject()
            .Last(entry => (string)entry.Value!["tags"]![0]!["name"]! == (string)operation["tags"]![0]!["name"]!).Value)
            page.Append('\n');
    }

    private static void Event(StringBuilder page, string name, JsonNode message, JsonNode document)
    {
        var schema = document["components"]!["schemas"]![Last(message["payload"]!["properties"]!["payload"]!)]!;
        page.Append($"### {name}\n\n{$"{message["summary"]} {Text(schema["description"])}".TrimEnd()}\n\n");
        Fields(page, schema);
        foreach (var example in message["examples"]!.AsArray())
            page.Append($"```json\n{example!["payload"]!.ToJsonString()}\n```\n\n");
    }

    private static void Fields(StringBuilder page, JsonNode schema)
    {
        var required = schema["required"]?.AsArray().Select(name => (string)name!).ToHashSet() ?? [];
        page.Append("| field | | |\n| --- | --- | --- |\n");
        Rows(page, schema, "", required);
        page.Append('\n');
    }

    private static void Rows(StringBuilder page, JsonNode schema, string prefix, HashSet<string> required)
    {
        foreach (var (name, field) in schema["properties"]!.AsObject())
        {
            page.Append($"| `{prefix}{name}`{(required.Contains(name) ? "" : "?")} | {Kind(field!)} | {Cell(field!["description"])} |\n");
            if (field["properties"] is not null)
                Rows(page, field, $"{prefix}{name}.", field["required"]?.AsArray().Select(part => (string)part!).ToHashSet() ?? []);
        }
    }

    private static string Kind(JsonNode schema) => schema switch
    {
        _ when schema["$ref"] is not null => Link(Last(schema)),
        _ when schema["enum"] is { } values => string.Join(", ", values.AsArray().Select(value => $"`{value}`")),
        _ when schema["items"] is { } items => $"list of {Kind(items)}" + Bounds(schema),
        _ when schema["additionalProperties"] is JsonObject values => $"object of {Kind(values)}",
        _ when schema["type"] is { } type => $"{schema["format"] ?? type}" + Bounds(schema),
        _ => "anything",
    };

    private static string Bounds(JsonNode schema)
    {
        (string Key, string Words)[] bounds =
            [("minimum", "from"), ("maximum", "to"), ("minLength", "at least"), ("maxLength", "at most"), ("maxItems", "at most")];
        return string.Concat(bounds.Where(bound => schema[bound.Key] is not null).Select(bound => $", {bound.Words} {schema[bound.Key]}"));
    }

    private static string Link(string name) => $"[{name}](#{name.ToLowerInvariant().Replace(".", "", StringComparison.Ordinal)})";

    private static string Last(JsonNode reference) => ((string)reference["$ref"]!).Split('/')[^1];

    // Lists are kept; everything else is joined into one line.
    private static string Text(JsonNode? text)
    {
        var written = ((string?)text ?? "").TrimEnd();
        return written.StartsWith("- ", StringComparison.Ordinal) ? written : written.ReplaceLineEndings(" ");
    }

    private static string Cell(JsonNode? text) => Text(text).Replace("\n- ", ", ", StringComparison.Ordinal).TrimStart('-', ' ');
}
