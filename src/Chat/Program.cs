using Carter;
using Chat;
using Chat.Backplane;
using Chat.Edge;
using Chat.Embedded;
using Chat.Features;
using Chat.Rest;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Chat.Tokens;
using JasperFx;

try
{
    var builder = WebApplication.CreateBuilder(args);
    builder.AddDefaults();
    // db-apply, db-assert, db-patch, db-new-epoch: outside Development the schema is changed by a command, never by a server that starts.
    var isCommand = args.Any(arg => arg.StartsWith("db-", StringComparison.Ordinal));
    var modules = new List<Type>();

    // What Development brings by itself, and what every other environment must be given.
    await using var embedded = await EmbeddedServers.StartAsync(builder.Configuration, builder.Environment);
    DevKey.Configure(builder.Configuration, builder.Environment);
    StartCheck.Run(builder.Configuration, builder.Environment);

    builder.Services.AddSingleton(Failpoint.Clock(builder.Configuration));
    builder.Services.AddSingleton<Audit>();
    builder.Services.AddEdge(builder.Configuration);
    builder.Services.AddTokens(builder.Configuration);
    builder.Services.AddStorage(builder.Configuration, builder.Environment.IsDevelopment(), isCommand);
    builder.Services.AddSocket();
    builder.Services.AddBackplane();
    Slices.AddAll(new SliceBuilder(builder.Services, modules));
    builder.Services.AddCarter(configurator: carter => carter.WithModules([.. modules]));
    builder.Services.AddProblems();
    builder.AddTelemetry();
    builder.Services.AddContract();
    builder.Services.ConfigureHttpJsonOptions(json => ChatJson.ForRest(json.SerializerOptions));

    await using var app = builder.Build();
    app.UseEdge();
    app.UseProblems();
    app.UseCors();
    WebClientSlice.Serve(app);
    app.UseAuthentication();
    app.UseAuthorization();
    app.UseRequestLimit();
    app.MapSocket();
    app.MapCarter();
    app.MapContract();
    HealthSlice.Map(app);

    var database = app.Services.GetRequiredService<DatabaseStart>();
    await database.WaitAsync();
    var lineage = app.Services.GetRequiredService<Lineage>();
    if (isCommand && !args.Contains("db-new-epoch"))
        return await app.RunJasperFxCommands(args);
    if (!app.Environment.IsDevelopment())
    {
        await database.CheckSchemaAsync();
        await database.WarnOfLossAsync();
    }

    if (isCommand)
    {
        Console.WriteLine($"The epoch is {await lineage.RenewAsync()} now. Nodes that run notice within seconds and end, to be started again.");
        return 0;
    }

    await app.RunAsync();
    return lineage.WasLost ? 1 : 0;
}
catch (Exception failure) when (StartException.LineFor(failure) is { } line)
{
    await Console.Error.WriteLineAsync(line);
    return 1;
}
