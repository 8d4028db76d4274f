using System.Globalization;
using System.Net;
using Chat.Edge;
using Chat.Rest;
using Chat.Socket;

namespace Chat.Admin;

/// <summary>
/// The query parameters of an operator's call. Unknown or malformed ones reject the call: a typo in a filter's name must not select
/// everyone.
/// </summary>
internal sealed class AdminQuery
{
    private readonly IQueryCollection query;
    private ChatError? error;

    /// <summary>Reads the parameters of a call.</summary>
    /// <param name="http">The call.</param>
    /// <param name="names">The parameters that it accepts.</param>
    public AdminQuery(HttpContext http, params ReadOnlySpan<string> names)
    {
        query = http.Request.Query;
        foreach (var (name, values) in query)
        {
            if (!names.Contains(name))
                Refuse(null, $"Unknown parameter. Supported: {string.Join(", ", names)}.");
            else if (values.Count > 1)
                Refuse(name, "The parameter is repeated.");
        }
    }

    /// <summary>The response to an invalid call; null if it is valid.</summary>
    public IResult? Refusal => error?.ToProblem();

    /// <summary>Returns the text of a parameter; null if it is absent.</summary>
    public string? Text(string name) => query[name] is [{ Length: > 0 } text] ? text : null;

    /// <summary>Reads an id.</summary>
    public Guid? Id(string name) => Read<Guid>(name, "a UUID", text => Guid.TryParse(text, out var id) ? id : null);

    /// <summary>Reads a whole number within a range.</summary>
    public int? Number(string name, int min, int max) => Read<int>(
        name, string.Create(CultureInfo.InvariantCulture, $"a whole number from {min} to {max}"),
        text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max
            ? number : null);

    /// <summary>Reads a duration within a range, in the format of the settings. A bare number would mean days, and is rejected.</summary>
    public TimeSpan? Time(string name, TimeSpan min, TimeSpan max) => Read<TimeSpan>(
        name, $"a duration from {min:c} to {max:c}: hours:minutes:seconds",
        text => text.Contains(':', StringComparison.Ordinal)
            && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var time) && time >= min && time <= max ? time : null);

    /// <summary>Reads an address, or a network like 10.0.0.0/8.</summary>
    public IPNetwork? Network(string name) => Read<IPNetwork>(
        name, "an address, or a network like 10.0.0.0/8",
        text => IPNetwork.TryParse(text, out var network) ? network
            : IPAddress.TryParse(text, out var address) && ClientAddress.Unmapped(address) is var unmapped
            ? new IPNetwork(unmapped, unmapped.GetAddressBytes().Length * 8) : null);

    /// <summary>Reads one of a few words.</summary>
    public TChoice? Choice<TChoice>(string name)
        where TChoice : struct, Enum => Read<TChoice>(
            name, $"one of {string.Join(", ", Enum.GetNames<TChoice>()).ToLowerInvariant()}",
            text => Enum.TryParse<TChoice>(text, ignoreCase: true, out var choice) && Enum.IsDefined(choice) && char.IsAsciiLetter(text[0])
                ? choice : null);

    /// <summary>Rejects the call; only the first reason counts.</summary>
    public void Refuse(string? field, string message) => error ??= ChatError.Invalid(field, message);

    private TValue? Read<TValue>(string name, string form, Func<string, TValue?> read)
        where TValue : struct
    {
        if (Text(name) is not { } text)
            return null;
        var value = read(text);
        if (value is null)
            Refuse(name, $"Must be {form}.");
        return value;
    }
}
