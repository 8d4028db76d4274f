using System.Reflection;
using System.Collections.Frozen;
using System.ComponentModel.DataAnnotations;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Chat.Socket;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Options;
using Microsoft.OpenApi;
using Scalar.AspNetCore;

namespace Chat.Rest;

/// <summary>
/// The REST side's contract: an OpenAPI 3.1 document made of what the endpoints say of themselves, at
/// <c>/openapi/v1.json</c>, and a page to read and try it, at <c>/docs</c>. In every environment, unless <c>Docs:Enabled</c> says
/// no: it holds nothing that the project's documents do not say, and it is what generated clients are made from.
/// </summary>
internal static class OpenApi
{
    private const string Name = "v1";
    private const string Scheme = "bearer";
    private const string Id = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";
    private const string Time = @"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$";
    private static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head];

    /// <summary>Each group of operations, and what it is about: a group that is not here fails where the document is made.</summary>
    private static readonly FrozenDictionary<string, string> Groups = new Dictionary<string, string>
    {
        ["Conversations"] = "Who talks to whom, and what is unread.",
        ["Messages"] = "What is said, and how far it was read.",
        ["People"] = "Who is there, and who wants to hear nothing from whom.",
        ["Administration"] = "For the application behind which the server stands.",
        ["Development"] = "For trying things out; only where `ASPNETCORE_ENVIRONMENT` is Development.",
        ["Web client"] = "What the server's own page needs.",
        ["Health"] = "For load balancers and orchestrators.",
    }.ToFrozenDictionary();

    /// <summary>What the page is made of, besides what is made for each request: files inside of its package, compressed.</summary>
    private static readonly (string Name, string Type)[] PageFiles =
        [("scalar.js", "text/javascript"), ("scalar.aspnetcore.js", "text/javascript"), ("favicon.svg", "image/svg+xml")];

    public static IServiceCollection AddOpenApiDocument(this IServiceCollection services) => services.AddOpenApi(Name, options =>
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        options.CreateSchemaReferenceId = json =>
            SchemaNameOf(json.Type) ?? OpenApiOptions.CreateDefaultSchemaReferenceId(json);
        options.AddSchemaTransformer(DescribeSchema);
        options.AddOperationTransformer(DescribeOperation);
        options.AddDocumentTransformer(DescribeDocument);
    });

    /// <summary>Maps both, unless <c>Docs:Enabled</c> is false. They are public: what they cost, they cost once.</summary>
    /// <param name="app">The server.</param>
    /// <param name="pathBase">Under which path a proxy shows it.</param>
    public static void MapOpenApiDocument(this WebApplication app, string pathBase)
    {
        if (!app.Configuration.GetValue("Docs:Enabled", true))
            return;
        var document = new StaticDocument("application/json", () => WriteAsync(app.Services, pathBase));
        app.MapMethods("/openapi/v1.json", Methods, http => SendAsync(http, document)).AllowAnonymous().ExcludeFromDescription();
        app.MapScalarApiReference("/docs", Page).AllowAnonymous();
        foreach (var (name, type) in PageFiles)
        {
            var file = new StaticDocument(type, () => UnpackAsync(name));
            // Before the package's own, which unpacks and compresses them each time.
            app.MapMethods($"/docs/{name}", Methods, http => SendAsync(http, file)).AllowAnonymous().ExcludeFromDescription().WithOrder(-1);
        }
    }

    private static Task SendAsync(HttpContext http, StaticDocument document)
    {
        http.Response.Headers.CacheControl = "no-cache";
        return document.SendAsync(http);
    }

    private static async Task<byte[]> WriteAsync(IServiceProvider services, string pathBase)
    {
        var document = await services.GetRequiredKeyedService<IOpenApiDocumentProvider>(Name).GetOpenApiDocumentAsync();
        document.Servers = [new OpenApiServer { Url = pathBase.Length > 0 ? pathBase : "/", Description = "The server that this document comes from." }];
        return Encoding.UTF8.GetBytes(await document.SerializeAsJsonAsync(OpenApiSpecVersion.OpenApi3_1));
    }

    private static async Task<byte[]> UnpackAsync(string name)
    {
        var package = typeof(ScalarOptions).Assembly;
        var resource = package.GetManifestResourceNames().Single(resource => resource.EndsWith($"ScalarStaticAssets.{name}", StringComparison.Ordinal));
        await using var packed = new GZipStream(package.GetManifestResourceStream(resource)!, CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        await packed.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    // Everything comes from the package, through this server; the policy makes sure of it.
    private static void Page(ScalarOptions page, HttpContext http)
    {
        var nonce = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        http.Response.Headers.ContentSecurityPolicy =
            $"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        page.WithTitle("Chat").WithNonce(nonce).AddPreferredSecuritySchemes(Scheme)
            .DisableDefaultFonts().DisableTelemetry().DisableAgent().DisableMcp().HideDeveloperTools().HideClientButton();
    }

    private static Task DescribeDocument(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellation)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Chat, the REST side",
            Version = "1.0.0",
            Description = """
                The same in prose is in docs/protocol.md; the socket is described in docs/asyncapi.yaml. Bodies are UTF-8
                JSON of at most 64 KiB (`Limits:MaxFrameBytes`). Fields may be added, never renamed or removed: a client
                ignores those that it does not know. What is absent is left out, never null. Ids are UUIDs in lower case,
                times RFC 3339 in UTC with milliseconds. Errors are problem details (RFC 9457) with a `code`, which is
                for programs. Not a member, not there and an id that is no UUID look the same: 404. Query parameters
                that an address does not know are ignored. What answers to GET answers to HEAD. A request
                that is no HTTP, or whose line or headers are too large (400, 408, 414, 431), may be answered without a body.
                """,
        };
        document.AddComponent(Scheme, new OpenApiSecurityScheme
        {
            Type = SecuritySchemeType.Http,
            Scheme = Scheme,
            BearerFormat = "JWT",
            Description = "A token of the application behind which the server stands; its `sub` is the user, a UUID.",
        });
        var paths = document.Paths.OrderBy(path => path.Key, StringComparer.Ordinal).ToArray();
        document.Paths.Clear();
        foreach (var (path, item) in paths)
        {
            // Asked like GET.
            item.Operations!.Remove(HttpMethod.Head);
            document.Paths.Add(path, item);
        }

        foreach (var group in document.Tags!)
            group.Description = Groups[group.Name!];
        foreach (var operation in document.Paths.Values.SelectMany(path => path.Operations!.Values))
        {
            operation.Security = operation.Responses!.ContainsKey("401")
                ? [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Scheme, document)] = [] }]
                : [];
        }

        foreach (var properties in document.Components!.Schemas!.Values.Select(schema => schema.Properties).OfType<IDictionary<string, IOpenApiSchema>>())
        {
            foreach (var (name, schema) in properties.ToArray())
                properties[name] = NeverNull(schema);
        }

        return Task.CompletedTask;
    }

    // What is absent is left out.
    private static IOpenApiSchema NeverNull(IOpenApiSchema schema)
    {
        if (schema is OpenApiSchema { Type: { } type } plain)
            plain.Type = type & ~JsonSchemaType.Null;
        return schema.OneOf?.Where(choice => choice.Type != JsonSchemaType.Null).ToArray() is [var only] ? only : schema;
    }

    private static string? SchemaNameOf(Type type) => type.GetCustomAttribute<SchemaNameAttribute>()?.Name;

    private static async Task DescribeOperation(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellation)
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var json = context.ApplicationServices.GetRequiredService<IOptions<Microsoft.AspNetCore.Http.Json.JsonOptions>>().Value.SerializerOptions;
        JsonNode Written(object example) => JsonSerializer.SerializeToNode(example, json.GetTypeInfo(example.GetType()))!;

        async Task<IOpenApiSchema> Component(Type type)
        {
            var schema = await context.GetOrCreateSchemaAsync(type, cancellationToken: cancellation);
            var name = SchemaNameOf(type) ?? type.Name;
            context.Document!.AddComponent(name, schema);
            return new OpenApiSchemaReference(name, context.Document);
        }

        if (metadata.OfType<AcceptedBody>().LastOrDefault() is { } taken)
        {
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = true,
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] = new OpenApiMediaType { Schema = await Component(taken.Example.GetType()), Example = Written(taken.Example) },
                },
            };
        }

        foreach (var answer in metadata.OfType<DocumentedResponse>())
        {
            var response = operation.Responses![$"{answer.Status}"];
            response.Description = answer.When;
            if (answer.Example is not null && response.Content!["application/json"] is OpenApiMediaType content)
                content.Example = Written(answer.Example);
        }

        foreach (var status in ProblemDocs.Of(context.Description, hasBody: operation.RequestBody is not null).GroupBy(problem => problem.Status!.Value).OrderBy(status => status.Key))
        {
            operation.Responses![$"{status.Key}"] = new OpenApiResponse
            {
                Description = $"{ReasonPhrases.GetReasonPhrase(status.Key)}: {string.Join(", ", status.Select(problem => $"`{problem.Extensions["code"]}`").Distinct())}",
                Headers = ProblemDocs.HeadersOf(status.Key),
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/problem+json"] = new OpenApiMediaType { Schema = await Component(typeof(ProblemDetails)), Example = Written(status.First()) },
                },
            };
        }
    }

    private static Task DescribeSchema(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken cancellation)
    {
        var type = Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) ?? context.JsonTypeInfo.Type;
        if (type == typeof(DateTimeOffset) || type == typeof(Guid) || type.IsEnum)
            schema.Type = JsonSchemaType.String;
        // The attribute that bounds a number cannot leave one side open.
        if (type == typeof(long))
            (schema.Type, schema.Format, schema.Maximum) = (JsonSchemaType.Integer, "int64", null);
        if (context.ParameterDescription is null)
            schema.Pattern = type == typeof(Guid) ? Id : type == typeof(DateTimeOffset) ? Time : schema.Pattern;
        // Whatever may be null is not required.
        foreach (var property in context.JsonTypeInfo.Properties)
        {
            if (schema.Properties?.ContainsKey(property.Name) != true)
                continue;
            if (property.AttributeProvider?.IsDefined(typeof(NotInBodyAttribute), inherit: false) == true)
            {
                schema.Properties.Remove(property.Name);
                schema.Required?.Remove(property.Name);
                continue;
            }

            var isRequired = !property.IsGetNullable && Nullable.GetUnderlyingType(property.PropertyType) is null;
            if (isRequired || property.AttributeProvider?.IsDefined(typeof(RequiredAttribute), inherit: false) == true)
                (schema.Required ??= new HashSet<string>()).Add(property.Name);
            else
                schema.Required?.Remove(property.Name);
        }

        if (type == typeof(ProblemDetails))
            DescribeProblem(schema);
        return Task.CompletedTask;
    }

    // What Problems adds to it, which no type knows of.
    private static void DescribeProblem(OpenApiSchema schema)
    {
        schema.Description = "What was not done, and why (RFC 9457).";
        schema.Properties!.Remove("instance");
        schema.Properties["code"] = new OpenApiSchema
        {
            Type = JsonSchemaType.String,
            Description = "For programs. The codes are those of the socket's errors.",
            Enum = [.. Enum.GetValues<ErrorCode>().Where(code => code is not ErrorCode.InvalidMessage and not ErrorCode.UnknownEvent).Select(code => (JsonNode)Problems.NameOf(code))],
        };
        schema.Properties["retryable"] = new OpenApiSchema { Type = JsonSchemaType.Boolean, Description = "Whether the same request may succeed later, unchanged." };
        schema.Properties["retryAfterMs"] = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32", Minimum = "1", Description = "When to try again, in milliseconds." };
        schema.Properties["field"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "What is wrong, as a path in camelCase." };
        schema.Properties["tempId"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "The refused send's." };
        schema.Properties["traceId"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "Finds the request in the server's log." };
        schema.Required = new HashSet<string> { "type", "title", "status", "code", "retryable" };
    }
}
