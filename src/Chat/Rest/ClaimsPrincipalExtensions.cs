using System.Security.Claims;

namespace Chat.Rest;

internal static class ClaimsPrincipalExtensions
{
    /// <summary>Who makes an authorised request.</summary>
    public static Guid UserId(this ClaimsPrincipal caller) => Guid.Parse(caller.FindFirstValue("sub")!);
}
