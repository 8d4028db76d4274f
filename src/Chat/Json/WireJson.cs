using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.Json;

namespace Chat.Json;

/// <summary>
/// The JSON options of the wire, REST, node events and documents. Each part of the server declares its types in a
/// source-generated context of its own and registers it as <see cref="IJsonTypeInfoResolver"/>.
/// </summary>
internal static class WireJson
{
    private const int MaxDepth = 32;

    /// <summary>Creates the options for one context, which takes ownership of them.</summary>
    public static JsonSerializerOptions CreateOptions()
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web);
        Apply(options);
        return options;
    }

    /// <summary>Returns the options for Marten: all contexts, and reflection for Marten's own types.</summary>
    public static JsonSerializerOptions ForDocuments(IEnumerable<IJsonTypeInfoResolver> contexts)
    {
        var options = CreateOptions();
        options.TypeInfoResolver = JsonTypeInfoResolver.Combine([.. contexts, new DefaultJsonTypeInfoResolver()]);
        return options;
    }

    /// <summary>Applies the same options to REST bodies.</summary>
    public static IServiceCollection AddWireJson(this IServiceCollection services)
    {
        services.AddOptions<JsonOptions>().Configure<IEnumerable<IJsonTypeInfoResolver>>((json, contexts) =>
        {
            Apply(json.SerializerOptions);
            foreach (var context in contexts)
                json.SerializerOptions.TypeInfoResolverChain.Insert(0, context);
        });
        return services;
    }

    private static void Apply(JsonSerializerOptions options)
    {
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.PropertyNameCaseInsensitive = false;
        options.AllowDuplicateProperties = false;
        options.MaxDepth = MaxDepth;
        options.Encoder = WireEncoder.Instance;
        options.Converters.Add(new WireTime());
        options.Converters.Add(new WireNumber());
        options.Converters.Add(new WireId());
    }
}
