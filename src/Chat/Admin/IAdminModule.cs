namespace Chat.Admin;

/// <summary>A group of the operator's calls: one file, listed in <see cref="AdminRegistration"/>. Created once per node.</summary>
internal interface IAdminModule
{
    /// <summary>Maps its calls, all of them protected by <see cref="AdminGuard"/>.</summary>
    void Map(IEndpointRouteBuilder admin);
}

/// <summary>Marks public endpoints of the admin port, which reveal nothing about users and change nothing.</summary>
internal sealed class OpenToAll
{
    public static readonly OpenToAll Instance = new();
}
