using System.Security.Claims;

namespace Chat.Rest;

internal static class ClaimsPrincipalExtensions
{
    /// <summary>Returns the user of an authorized request.</summary>
    public static Guid UserId(this ClaimsPrincipal caller) => Guid.Parse(caller.FindFirstValue("sub")!);
}
