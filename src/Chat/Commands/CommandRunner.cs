using Chat.Embedded;
using Chat.Hosting;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tokens;
using Marten;

namespace Chat.Commands;

/// <summary>Runs the commands other than serving.</summary>
internal static class CommandRunner
{
    /// <summary>Runs a command that needs only the settings.</summary>
    /// <returns>The exit code; null if it is another command.</returns>
    public static async Task<int?> RunAloneAsync(CommandArguments command, WebApplicationBuilder builder)
    {
        if (command.IsSilent)
            builder.Logging.ClearProviders();
        switch (command.Name)
        {
            case CommandArguments.Health:
                return await HealthCommand.RunAsync(builder.Configuration, command.Operands.FirstOrDefault());
            case CommandArguments.Token:
                DevKey.Configure(builder.Configuration, builder.Environment);
                if (CheckCommand.PrintErrors((builder.Configuration.GetSection("Jwt").Get<JwtSettings>() ?? new JwtSettings()).Validate(
                    builder.Environment.IsDevelopment())))
                    return 1;
                builder.Services.AddSingleton(Failpoint.Clock(builder.Configuration)).AddSingleton<AuditLog>().AddSingleton<ServerMetrics>()
                    .AddTokens(builder.Configuration)
                    .AddSingleton<ITokenRevocations, NoRevocations>().AddSingleton<TokenCommand>();
                await using (var services = builder.Services.BuildServiceProvider())
                    return await services.GetRequiredService<TokenCommand>().RunAsync(command.Operands.FirstOrDefault());
            default:
                return null;
        }
    }

    /// <summary>Runs a command that needs the server's services, whatever the state of the schema.</summary>
    /// <returns>The exit code; null if it is another command.</returns>
    public static async Task<int?> RunAsync(CommandArguments command, WebApplication app)
    {
        if (command.Name == CommandArguments.Check)
            return await new CheckCommand(app.Services, app.Environment, app.Services.GetRequiredService<TimeProvider>()).RunAsync();
        await app.Services.GetRequiredService<DatabaseStartup>().WaitAsync();
        var store = app.Services.GetRequiredService<IDocumentStore>();
        return command.Name switch
        {
            CommandArguments.Apply => await SchemaCommands.ApplyAsync(store),
            CommandArguments.Assert => await SchemaCommands.AssertAsync(store),
            CommandArguments.Patch => await SchemaCommands.PatchAsync(store, command.Operands[0]),
            _ => null,
        };
    }

    /// <summary>Starts a new epoch; only after the schema has been checked.</summary>
    public static async Task<int> RenewEpochAsync(DatabaseEpoch epoch)
    {
        Console.WriteLine(
            $"The epoch is now {await epoch.RenewAsync()}. Running nodes notice within seconds, stop, and must be restarted.");
        return 0;
    }
}
