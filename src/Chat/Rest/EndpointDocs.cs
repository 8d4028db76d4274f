using System.Globalization;
using Chat.Socket;

namespace Chat.Rest;

/// <summary>Metadata: the body's type, with an example.</summary>
internal sealed record AcceptedBody(object Example);

/// <summary>Metadata: a response with an example; without one it has no body.</summary>
internal sealed record DocumentedResponse(int Status, string When, object? Example);

/// <summary>Metadata: the errors that an endpoint may return.</summary>
internal sealed record DocumentedErrors(IReadOnlyList<ChatError> Errors);

/// <summary>Marks a field of an event that the REST body lacks: it is part of the path, or reserved.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class NotInBodyAttribute : Attribute;

/// <summary>Sets a type's component name in the OpenAPI document, after which generated clients name their types.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class SchemaNameAttribute(string name) : Attribute
{
    public string Name => name;
}

/// <summary>
/// Documents an endpoint where it is mapped. <see cref="OpenApi"/> builds the OpenAPI document from it; nothing here changes
/// the endpoint's behaviour, except its cost.
/// </summary>
internal static class EndpointDocs
{
    /// <summary>Sets the operation's name in generated clients, its summary and its description.</summary>
    public static RouteHandlerBuilder Describe(this RouteHandlerBuilder endpoint, string operation, string summary, string description) =>
        endpoint.WithName(operation).WithSummary(summary).WithDescription(description);

    /// <summary>Documents the JSON body; see <see cref="Body{T}"/>.</summary>
    public static RouteHandlerBuilder Accepts(this RouteHandlerBuilder endpoint, object example) =>
        endpoint.WithMetadata(new AcceptedBody(example));

    /// <summary>Documents a response with a JSON body.</summary>
    public static RouteHandlerBuilder Returns<T>(this RouteHandlerBuilder endpoint, int status, string when, T example)
        where T : class => endpoint.Produces<T>(status).WithMetadata(new DocumentedResponse(status, when, example));

    /// <summary>Documents a response without a body.</summary>
    public static RouteHandlerBuilder Returns(this RouteHandlerBuilder endpoint, int status, string when) =>
        endpoint.Produces(status).WithMetadata(new DocumentedResponse(status, when, null));

    /// <summary>Weights a call by the number of rows requested by a query parameter; see <see cref="RequestCost"/>.</summary>
    public static RouteHandlerBuilder CostsByRows(this RouteHandlerBuilder endpoint, string parameter) =>
        endpoint.WithMetadata(new RequestCost(http =>
            int.TryParse(http.Request.Query[parameter], CultureInfo.InvariantCulture, out var rows) ? RequestCost.OfRows(rows) : 1));

    /// <summary>Weights a call by the number of items in a comma-separated query parameter.</summary>
    public static RouteHandlerBuilder CostsByItems(this RouteHandlerBuilder endpoint, string parameter) =>
        endpoint.WithMetadata(
            new RequestCost(http => RequestCost.OfRows(http.Request.Query[parameter].ToString().Count(character => character == ',') + 1)));

    /// <summary>Documents the endpoint's own errors, besides the common ones.</summary>
    public static RouteHandlerBuilder Fails(this RouteHandlerBuilder endpoint, params ChatError[] errors) =>
        endpoint.WithMetadata(new DocumentedErrors(errors));
}
