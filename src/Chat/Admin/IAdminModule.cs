namespace Chat.Admin;

/// <summary>A group of the operator's calls: one file, listed in <see cref="AdminRegistration"/>. Made once, with what it needs of the node.</summary>
internal interface IAdminModule
{
    /// <summary>Maps its calls, all of them behind <see cref="AdminGuard"/>.</summary>
    void Map(IEndpointRouteBuilder admin);
}

/// <summary>Marks what is served to whoever reaches the port: it tells nothing of anybody, and changes nothing.</summary>
internal sealed class OpenToAll
{
    public static readonly OpenToAll Instance = new();
}
