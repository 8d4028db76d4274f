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
    if (await CommandRunner.RunAloneAsync(command, builder) is { } told)
        return told;
    var modules = new List<Type>();

    // What Development brings by itself, and what every other environment must be given.
    await using var embedded = await EmbeddedServers.StartAsync(builder.Configuration, builder.Environment);
    DevKey.Configure(builder.Configuration, builder.Environment);
    if (command.Name == CommandArguments.Check && CheckCommand.PrintErrors(StartupValidator.Validate(builder.Configuration, builder.Environment)))
        return 1;
    StartupValidator.ThrowIfInvalid(builder.Configuration, builder.Environment);

    builder.Services.AddSingleton(Failpoint.Clock(builder.Configuration));
    builder.Services.AddSingleton<AuditLog>();
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
    // Not before the edge, which takes the path prefix off.
    app.UseRouting();
    app.UseCors();
    app.UseAuthentication();
    app.UseAuthorization();
    app.UseRequestLimit();
    app.MapSocket();
    app.MapCarter();
    app.MapOpenApiDocument(PathPrefix.Of(app.Configuration));
    HealthSlice.Map(app);
    WebClientSlice.Map(app, PathPrefix.Of(app.Configuration));

    // Outside Development the schema is changed by a command, never by a server that starts.
    if (command.Name != CommandArguments.Serve && await CommandRunner.RunAsync(command, app) is { } done)
        return done;
    var database = app.Services.GetRequiredService<DatabaseStartup>();
    await database.WaitAsync();
    if (!app.Environment.IsDevelopment())
    {
        await database.CheckSchemaAsync();
        await database.WarnIfCommitsCanBeLostAsync();
        ExposedConnections.Warn(app.Configuration, app.Logger);
    }

    var lineage = app.Services.GetRequiredService<DatabaseEpoch>();
    if (command.Name == CommandArguments.NewEpoch)
        return await CommandRunner.RenewEpochAsync(lineage);
    await app.RunAsync();
    return lineage.WasLost ? 1 : 0;
}
#pragma warning disable CA1031 // The boundary: whatever stops a start is one line, and an exit code that says so.
catch (Exception failure) when (!IsBuiltByTools(failure))
#pragma warning restore CA1031
{
    await Console.Error.WriteLineAsync(StartupException.DescribeFailure(failure));
    return 1;
}

// Tools that only want the host (WebApplicationFactory) end the program by an exception of theirs once it is built.
static bool IsBuiltByTools(Exception failure) => failure is HostAbortedException || failure.GetType().Name == "StopTheHostException";
