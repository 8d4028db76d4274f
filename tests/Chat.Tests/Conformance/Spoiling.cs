using System.Text.Json.Nodes;

namespace Chat.Tests.Conformance;

/// <summary>Makes everything wrong with an example that its schema forbids, one thing at a time.</summary>
internal static class Spoiling
{
    /// <summary>
    /// The example with a field too many, a required field too few, a value of another type; at every depth.
    /// </summary>
    public static IEnumerable<string> Every(JsonNode example, JsonNode schema, JsonNode document)
    {
        var whole = example.DeepClone();
        return Within(whole, schema, document, () => whole.ToJsonString());
    }

    private static IEnumerable<string> Within(JsonNode node, JsonNode schema, JsonNode document, Func<string> write)
    {
        while (schema["$ref"] is { } target)
            schema = ((string)target!).Split('/').Skip(1).Aggregate(document, (found, name) => found[name]!);
        if (node is JsonArray { Count: > 0 } list)
        {
            foreach (var spoilt in Within(list[0]!, schema["items"]!, document, write))
                yield return spoilt;
        }

        if (node is not JsonObject fields || schema["properties"] is not JsonObject known)
            yield break;
        fields["surprise"] = 1;
        yield return write();
        fields.Remove("surprise");
        var required = schema["required"]?.AsArray().Select(name => (string)name!).ToHashSet() ?? [];
        foreach (var (name, value) in fields.ToArray())
        {
            if (required.Contains(name))
            {
                fields.Remove(name);
                yield return write();
            }

            if (!IsAnything(known[name]!))
            {
                // No field of any contract takes a list of lists.
                fields[name] = new JsonArray(new JsonArray());
                yield return write();
            }

            fields[name] = value;
            foreach (var spoilt in Within(value!, known[name]!, document, write))
                yield return spoilt;
        }
    }

    private static bool IsAnything(JsonNode schema) => schema["type"] is null && schema["$ref"] is null;
}
