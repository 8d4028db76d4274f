using System.Globalization;
using Chat.Socket;

namespace Chat.Rest;

/// <summary>What an endpoint takes: the body's type, with an example.</summary>
internal sealed record AcceptedBody(object Example);

/// <summary>One answer of an endpoint, with an example; without one, the answer has no body.</summary>
internal sealed record DocumentedResponse(int Status, string When, object? Example);

/// <summary>What an endpoint may refuse: the very errors that it answers with.</summary>
internal sealed record DocumentedErrors(IReadOnlyList<ChatError> Errors);

/// <summary>A field of an event that the same request over REST does not have: it is in the address, or reserved.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class NotInBodyAttribute : Attribute;

/// <summary>The component name of a type in the OpenAPI document, where it is not the type's: generated clients name their types by it.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class SchemaNameAttribute(string name) : Attribute
{
    public string Name => name;
}

/// <summary>
/// How an endpoint says, where it is mapped, what it is for. <see cref="OpenApi"/> makes the OpenAPI document of it;
/// nothing here changes what the endpoint does.
/// </summary>
internal static class EndpointDocs
{
    /// <summary>What the endpoint is called in generated clients, and what it does in one line.</summary>
    public static RouteHandlerBuilder Describe(this RouteHandlerBuilder endpoint, string operation, string summary, string description) =>
        endpoint.WithName(operation).WithSummary(summary).WithDescription(description);

    /// <summary>The JSON body; see <see cref="Body{T}"/>.</summary>
    public static RouteHandlerBuilder Accepts(this RouteHandlerBuilder endpoint, object example) =>
        endpoint.WithMetadata(new AcceptedBody(example));

    /// <summary>An answer with a JSON body.</summary>
    public static RouteHandlerBuilder Returns<T>(this RouteHandlerBuilder endpoint, int status, string when, T example)
        where T : class => endpoint.Produces<T>(status).WithMetadata(new DocumentedResponse(status, when, example));

    /// <summary>An answer without a body.</summary>
    public static RouteHandlerBuilder Returns(this RouteHandlerBuilder endpoint, int status, string when) =>
        endpoint.Produces(status).WithMetadata(new DocumentedResponse(status, when, null));

    /// <summary>What the call costs by the number of rows that this parameter asks for: so few calls as large are carried out at a time.</summary>
    public static RouteHandlerBuilder CostsByRows(this RouteHandlerBuilder endpoint, string parameter) =>
        endpoint.WithMetadata(new RequestCost(http => int.TryParse(http.Request.Query[parameter], CultureInfo.InvariantCulture, out var rows) ? RequestCost.OfRows(rows) : 1));

    /// <summary>The same, for a parameter that lists what is asked for, separated by commas.</summary>
    public static RouteHandlerBuilder CostsByItems(this RouteHandlerBuilder endpoint, string parameter) =>
        endpoint.WithMetadata(new RequestCost(http => RequestCost.OfRows(http.Request.Query[parameter].ToString().Count(character => character == ',') + 1)));

    /// <summary>What may be wrong with a request, besides what may be wrong with any.</summary>
    public static RouteHandlerBuilder Fails(this RouteHandlerBuilder endpoint, params ChatError[] errors) =>
        endpoint.WithMetadata(new DocumentedErrors(errors));
}
