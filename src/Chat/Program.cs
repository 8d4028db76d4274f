using Carter;
using Chat.Admin;
using Chat.Backplane;
using Chat.Commands;
using Chat.Edge;
using Chat.Embedded;
using Chat.Features;
using Chat.Hosting;
using Chat.Json;
using Chat.Rest;
using Chat.Settings;
using Chat.Slices;
using Chat.Socket;
using Chat.Startup;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tokens;

try
{
    var command = CommandArguments.Parse(args);
    if (command.Name is CommandArguments.Help or CommandArguments.Version)
    {
        Console.WriteLine(command.Name == CommandArguments.Help ? CommandArguments.HelpText : CommandArguments.VersionText);
        return 0;
    }

    FileDescriptorBudget.ForThisProcess().ThrowIfTooFew();
    var builder = WebApplication.CreateBuilder(command.Settings);
    builder.AddDefaults();
    if (await CommandRunner.RunAloneAsync(command, builder) is { } exitCode)
        return exitCode;
    var modules = new List<Type>();

    // Embedded servers and keys of Development; every other environment must configure its own.
    await using var embedded = await EmbeddedServers.StartAsync(builder.Configuration, builder.Environment);
    DevKey.Configure(builder.Configuration, builder.Environment);
    if (command.Name == CommandArguments.Check
        && CheckCommand.PrintErrors(StartupValidator.Validate(builder.Configuration, builder.Environment)))
        return 1;
    StartupValidator.ThrowIfInvalid(builder.Configuration, builder.Environment);

    builder.Services.AddSingleton(Failpoint.Clock(builder.Configuration));
    builder.Services.AddEdge(builder.Configuration);
    builder.Services.AddTokens(builder.Configuration);
    builder.Services.AddStorage(builder.Configuration, builder.Environment.IsDevelopment(), command.IsForSchema);
    builder.Services.AddSocket();
    builder.Services.AddBackplane();
    FeatureSlices.AddAll(new SliceBuilder(builder.Services, modules));
    builder.Services.AddCarter(configurator: carter => carter.WithModules([.. modules]));
    builder.Services.AddProblems();
    builder.AddTelemetry();
    builder.AddAdmin();
    builder.Services.AddOpenApiDocument();
    builder.Services.AddWireJson();

    await using var app = builder.Build();
    app.UseEdge();
    app.UseProblems();
    app.RefuseConnect();
    app.UseLocalHosts();
    // After the edge, which strips the path prefix.
    app.UseRouting();
    app.UseCors();
    app.UseAuthentication();
    app.UseAuthorization();
    app.UseRequestLimit();
    app.MapSocket();
    app.MapCarter();
    app.MapOpenApiDocument(PathPrefix.Of(app.Configuration));
    WebClientSlice.Map(app, PathPrefix.Of(app.Configuration));

    // Outside Development the schema is changed only by a command, never at startup.
    if (command.Name != CommandArguments.Serve && await CommandRunner.RunAsync(command, app) is { } commandExitCode)
        return commandExitCode;
    var database = app.Services.GetRequiredService<DatabaseStartup>();
    await database.WaitAsync();
    if (!app.Environment.IsDevelopment())
    {
        await database.CheckSchemaAsync();
        await database.WarnIfCommitsCanBeLostAsync();
        ExposedConnections.Warn(app.Configuration, app.Logger);
    }

    var epoch = app.Services.GetRequiredService<DatabaseEpoch>();
    if (command.Name == CommandArguments.NewEpoch)
        return await CommandRunner.RenewEpochAsync(epoch);
    await app.RunAsync();
    return epoch.WasLost ? 1 : 0;
}
#pragma warning disable CA1031 // Error boundary: a failed start prints one line and returns an exit code.
catch (Exception failure) when (!IsBuiltByTools(failure))
#pragma warning restore CA1031
{
    await Console.Error.WriteLineAsync(StartupException.DescribeFailure(failure));
    return 1;
}

// Tools that only build the host (WebApplicationFactory) end the program by throwing once it is built.
static bool IsBuiltByTools(Exception failure) => failure is HostAbortedException || failure.GetType().Name == "StopTheHostException";
