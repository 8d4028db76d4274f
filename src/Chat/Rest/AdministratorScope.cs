namespace Chat.Rest;

/// <summary>Authorizes administrators: tokens whose <c>scope</c> contains <c>chat.admin</c>.</summary>
internal static class AdministratorScope
{
    private const string Name = "chat.admin";

    public static TBuilder RequireAdministrator<TBuilder>(this TBuilder endpoints)
        where TBuilder : IEndpointConventionBuilder =>
        endpoints.RequireAuthorization(policy => policy.RequireAssertion(
            caller => caller.User.FindAll("scope").Any(claim => claim.Value.Split(' ').Contains(Name))));
}
