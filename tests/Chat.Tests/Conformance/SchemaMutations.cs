using System.Text.Json.Nodes;

namespace Chat.Tests.Conformance;

/// <summary>Mutates a valid example in every way that its schema forbids, one at a time.</summary>
internal static class SchemaMutations
{
    /// <summary>
    /// Returns the example with an extra field, without a required field, or with a value of another type, at every depth.
    /// </summary>
    public static IEnumerable<string> Of(JsonNode example, JsonNode schema, JsonNode document)
    {
        var copy = example.DeepClone();
        return Within(copy, schema, document, () => copy.ToJsonString());
    }

    private static IEnumerable<string> Within(JsonNode node, JsonNode schema, JsonNode document, Func<string> write)
    {
        while (schema["$ref"] is { } target)
            schema = ((string)target!).Split('/').Skip(1).Aggregate(document, (found, name) => found[name]!);
        if (node is JsonArray { Count: > 0 } list)
        {
            foreach (var mutant in Within(list[0]!, schema["items"]!, document, write))
                yield return mutant;
        }

        if (node is not JsonObject fields || schema["properties"] is not JsonObject known)
            yield break;
        fields["unexpected"] = 1;
        yield return write();
        fields.Remove("unexpected");
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
                // No field of the contracts is a nested array.
                fields[name] = new JsonArray(new JsonArray());
                yield return write();
            }

            fields[name] = value;
            foreach (var mutant in Within(value!, known[name]!, document, write))
                yield return mutant;
        }
    }

    private static bool IsAnything(JsonNode schema) => schema["type"] is null && schema["$ref"] is null;
}
