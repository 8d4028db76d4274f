namespace Chat.Features;

/// <summary>A user's profile.</summary>
public sealed record User
{
    /// <summary>The <c>sub</c> claim of their tokens.</summary>
    public required Guid Id { get; init; }

    /// <summary>The username; null if they have none or it was taken.</summary>
    public string? Username { get; init; }

    /// <summary>The unique key of the username, equal for all of its spellings: see <see cref="Features.Username.Key"/>.</summary>
    public string? UsernameKey { get; init; }

    /// <summary>The display name.</summary>
    public string? Name { get; init; }

    /// <summary>The URL of a picture.</summary>
    public string? Picture { get; init; }

    /// <summary>The <c>iat</c> of the latest token that this profile comes from.</summary>
    public DateTimeOffset ToldAt { get; init; }

    /// <summary>The <c>iat</c> of the latest token that claims the username. Omitted by nodes of earlier versions.</summary>
    public DateTimeOffset? NamedAt { get; init; }
}
