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
/// The contract of the REST API: an OpenAPI 3.1 document generated from the endpoints' metadata, at <c>/openapi/v1.json</c>, and
/// an interactive reference, at <c>/docs</c>. Public in every environment unless <c>Docs:Enabled</c> is false: it contains
/// nothing that the project's documents do not, and clients are generated from it.
/// </summary>
internal static class OpenApi
{
    private const string Name = "v1";
    private const string Scheme = "bearer";
    private const string Id = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";
    private const string Time = @"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$";
    private static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head];

    /// <summary>The description of each tag; an unlisted tag fails the generation.</summary>
    private static readonly FrozenDictionary<string, string> Groups = new Dictionary<string, string>
    {
        ["Conversations"] = "Conversations, and what is unread.",
        ["Messages"] = "Messages and read receipts.",
        ["People"] = "The user directory, presence and blocks.",
        ["Administration"] = "For the application that the server belongs to.",
        ["Development"] = "For experiments; only if `ASPNETCORE_ENVIRONMENT` is Development.",
        ["Web client"] = "For the server's own web page.",
        ["Health"] = "For load balancers and orchestrators.",
    }.ToFrozenDictionary();

    /// <summary>The static files of the page, compressed resources of its package.</summary>
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

    /// <summary>Maps both, unless <c>Docs:Enabled</c> is false. They are public, so their content is generated only once.</summary>
    /// <param name="app">The server.</param>
    /// <param name="pathBase">The path under which a proxy publishes the server; empty if none.</param>
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
            // Takes precedence over the package's own endpoint, which decompresses and compresses on each request.
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
        document.Servers = [new OpenApiServer { Url = pathBase.Length > 0 ? pathBase : "/", Description = "This server." }];
        return Encoding.UTF8.GetBytes(await document.SerializeAsJsonAsync(OpenApiSpecVersion.OpenApi3_1));
    }

    private static async Task<byte[]> UnpackAsync(string name)
    {
        var package = typeof(ScalarOptions).Assembly;
        var resource = package.GetManifestResourceNames()
            .Single(resource => resource.EndsWith($"ScalarStaticAssets.{name}", StringComparison.Ordinal));
        await using var packed = new GZipStream(package.GetManifestResourceStream(resource)!, CompressionMode.Decompress);
        using var bytes = new MemoryStream();
        await packed.CopyToAsync(bytes);
        return bytes.ToArray();
    }

    // Everything is served from the package by this server; the policy enforces it.
    private static void Page(ScalarOptions page, HttpContext http)
    {
        var nonce = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        http.Response.Headers.ContentSecurityPolicy =
            $"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        page.WithTitle("Chat").WithNonce(nonce).AddPreferredSecuritySchemes(Scheme)
            .DisableDefaultFonts().DisableTelemetry().DisableAgent().DisableMcp().HideDeveloperTools().HideClientButton();
    }

    private static Task DescribeDocument(
        OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellation)
    {
        document.Info = new OpenApiInfo
        {
            Title = "Chat, the REST side",
            Version = "1.0.0",
            Description = """
                This contract in prose is docs/protocol.md; the socket is described in docs/asyncapi.yaml. Bodies are UTF-8
                JSON of at most 64 KiB (`Limits:MaxFrameBytes`). Fields may be added, never renamed or removed: clients
                ignore unknown fields. Absent values are omitted, never null. Ids are UUIDs in lower case, times RFC 3339 in
                UTC with milliseconds. Errors are problem details (RFC 9457) with a machine-readable `code`. Not a member,
                a missing resource and an id that is not a UUID look the same: 404. Unknown query parameters are ignored.
                HEAD is supported wherever GET is. A request that is not valid HTTP, or whose request line or headers are
                too large (400, 408, 414, 431), may be answered without a body.
                """,
        };
        document.AddComponent(Scheme, new OpenApiSecurityScheme
        {
            Type = SecuritySchemeType.Http,
            Scheme = Scheme,
            BearerFormat = "JWT",
            Description = "A token of the application that the server belongs to; its `sub` is the user, a UUID.",
        });
        var paths = document.Paths.OrderBy(path => path.Key, StringComparer.Ordinal).ToArray();
        document.Paths.Clear();
        foreach (var (path, item) in paths)
        {
            // Same as GET.
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

        foreach (var properties in document.Components!.Schemas!.Values.Select(schema => schema.Properties)
            .OfType<IDictionary<string, IOpenApiSchema>>())
        {
            foreach (var (name, schema) in properties.ToArray())
                properties[name] = NeverNull(schema);
        }

        return Task.CompletedTask;
    }

    // Absent values are omitted.
    private static IOpenApiSchema NeverNull(IOpenApiSchema schema)
    {
        if (schema is OpenApiSchema { Type: { } type } inline)
            inline.Type = type & ~JsonSchemaType.Null;
        return schema.OneOf?.Where(choice => choice.Type != JsonSchemaType.Null).ToArray() is [var only] ? only : schema;
    }

    private static string? SchemaNameOf(Type type) => type.GetCustomAttribute<SchemaNameAttribute>()?.Name;

    private static async Task DescribeOperation(
        OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellation)
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var json =
            context.ApplicationServices.GetRequiredService<IOptions<Microsoft.AspNetCore.Http.Json.JsonOptions>>().Value.SerializerOptions;
        JsonNode ToJson(object example) => JsonSerializer.SerializeToNode(example, json.GetTypeInfo(example.GetType()))!;

        async Task<IOpenApiSchema> Component(Type type)
        {
            var schema = await context.GetOrCreateSchemaAsync(type, cancellationToken: cancellation);
            var name = SchemaNameOf(type) ?? type.Name;
            context.Document!.AddComponent(name, schema);
            return new OpenApiSchemaReference(name, context.Document);
        }

        if (metadata.OfType<AcceptedBody>().LastOrDefault() is { } accepted)
        {
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = true,
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] =
                        new OpenApiMediaType { Schema = await Component(accepted.Example.GetType()), Example = ToJson(accepted.Example) },
                },
            };
        }

        foreach (var documented in metadata.OfType<DocumentedResponse>())
        {
            var response = operation.Responses![$"{documented.Status}"];
            response.Description = documented.When;
            if (documented.Example is not null && response.Content!["application/json"] is OpenApiMediaType content)
                content.Example = ToJson(documented.Example);
        }

        foreach (var status in ProblemDocs.Of(context.Description, hasBody: operation.RequestBody is not null)
            .GroupBy(problem => problem.Status!.Value).OrderBy(status => status.Key))
        {
            operation.Responses![$"{status.Key}"] = new OpenApiResponse
            {
                Description =
                    $"{ReasonPhrases.GetReasonPhrase(status.Key)}: {string.Join(", ", status.Select(problem => $"`{problem.Extensions["code"]}`").Distinct())}",
                Headers = ProblemDocs.HeadersOf(status.Key),
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/problem+json"] =
                        new OpenApiMediaType { Schema = await Component(typeof(ProblemDetails)), Example = ToJson(status.First()) },
                },
            };
        }
    }

    private static Task DescribeSchema(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken cancellation)
    {
        var type = Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) ?? context.JsonTypeInfo.Type;
        if (type == typeof(DateTimeOffset) || type == typeof(Guid) || type.IsEnum)
            schema.Type = JsonSchemaType.String;
        // RangeAttribute cannot leave one side open.
        if (type == typeof(long))
            (schema.Type, schema.Format, schema.Maximum) = (JsonSchemaType.Integer, "int64", null);
        if (context.ParameterDescription is null)
            schema.Pattern = type == typeof(Guid) ? Id : type == typeof(DateTimeOffset) ? Time : schema.Pattern;
        // Nullable means optional.
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

    // The extension members that Problems adds.
    private static void DescribeProblem(OpenApiSchema schema)
    {
        schema.Description = "A failed request (RFC 9457).";
        schema.Properties!.Remove("instance");
        schema.Properties["code"] = new OpenApiSchema
        {
            Type = JsonSchemaType.String,
            Description = "The machine-readable error code, the same as on the socket.",
            Enum = [.. Enum.GetValues<ErrorCode>().Where(code => code is not ErrorCode.InvalidMessage and not ErrorCode.UnknownEvent)
                .Select(code => (JsonNode)Problems.NameOf(code))],
        };
        schema.Properties["retryable"] =
            new OpenApiSchema { Type = JsonSchemaType.Boolean, Description = "Whether the same request may succeed later, unchanged." };
        schema.Properties["retryAfterMs"] = new OpenApiSchema
        {
            Type = JsonSchemaType.Integer,
            Format = "int32",
            Minimum = "1",
            Description = "When to try again, in milliseconds."
        };
        schema.Properties["field"] =
            new OpenApiSchema { Type = JsonSchemaType.String, Description = "What is wrong, as a path in camelCase." };
        schema.Properties["tempId"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "The refused send's." };
        schema.Properties["traceId"] =
            new OpenApiSchema { Type = JsonSchemaType.String, Description = "Finds the request in the server's log." };
        schema.Required = new HashSet<string> { "type", "title", "status", "code", "retryable" };
    }
}
