using System.Globalization;
using System.Net;
using Chat.Edge;
using Chat.Rest;
using Chat.Socket;

namespace Chat.Admin;

/// <summary>
/// What one of the operator's calls says behind the question mark. Whatever is unknown or cannot be read refuses the call: a slip in
/// the name of a filter must not mean everybody.
/// </summary>
internal sealed class AdminQuery
{
    private readonly IQueryCollection query;
    private ChatError? fault;

    /// <summary>Takes the parameters of a call apart.</summary>
    /// <param name="http">The call.</param>
    /// <param name="names">All that it takes.</param>
    public AdminQuery(HttpContext http, params ReadOnlySpan<string> names)
    {
        query = http.Request.Query;
        foreach (var (name, values) in query)
        {
            if (!names.Contains(name))
                Refuse(null, $"There is a parameter that this call does not take. It takes: {string.Join(", ", names)}.");
            else if (values.Count > 1)
                Refuse(name, "The parameter is there twice.");
        }
    }

    /// <summary>The answer to a call that cannot be carried out as it stands; null if it can.</summary>
    public IResult? Refusal => fault?.ToProblem();

    /// <summary>The text of a parameter; null without it.</summary>
    public string? Text(string name) => query[name] is [{ Length: > 0 } text] ? text : null;

    /// <summary>An id.</summary>
    public Guid? Id(string name) => Read<Guid>(name, "is a UUID", text => Guid.TryParse(text, out var id) ? id : null);

    /// <summary>A whole number within bounds.</summary>
    public int? Number(string name, int min, int max) => Read<int>(
        name, string.Create(CultureInfo.InvariantCulture, $"is a whole number from {min} to {max}"),
        text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max ? number : null);

    /// <summary>A time within bounds, written as the settings are. A number alone would be days, and is refused.</summary>
    public TimeSpan? Time(string name, TimeSpan min, TimeSpan max) => Read<TimeSpan>(
        name, $"is a time from {min:c} to {max:c}: hours:minutes:seconds",
        text => text.Contains(':', StringComparison.Ordinal) && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) && time >= min && time <= max ? time : null);

    /// <summary>An address, or a network like 10.0.0.0/8.</summary>
    public IPNetwork? Network(string name) => Read<IPNetwork>(
        name, "is an address, or a network like 10.0.0.0/8",
        text => IPNetwork.TryParse(text, out var network) ? network
            : IPAddress.TryParse(text, out var address) && ClientAddress.Unmapped(address) is var plain ? new IPNetwork(plain, plain.GetAddressBytes().Length * 8) : null);

    /// <summary>One of a few words.</summary>
    public TChoice? Choice<TChoice>(string name)
        where TChoice : struct, Enum => Read<TChoice>(
            name, $"is one of {string.Join(", ", Enum.GetNames<TChoice>()).ToLowerInvariant()}",
            text => Enum.TryParse<TChoice>(text, ignoreCase: true, out var choice) && Enum.IsDefined(choice) && char.IsAsciiLetter(text[0]) ? choice : null);

    /// <summary>Refuses the call; only the first reason counts.</summary>
    public void Refuse(string? field, string message) => fault ??= ChatError.Invalid(field, message);

    private TValue? Read<TValue>(string name, string form, Func<string, TValue?> read)
        where TValue : struct
    {
        if (Text(name) is not { } text)
            return null;
        var value = read(text);
        if (value is null)
            Refuse(name, $"It {form}.");
        return value;
    }
}
