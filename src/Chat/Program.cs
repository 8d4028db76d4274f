using Carter;
using Chat;
using Chat.Backplane;
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
    var modules = new List<Type>();
    // db-apply, db-assert, db-patch: outside Development the schema is changed by a command, never by a server that starts.
    var isCommand = args.Any(arg => arg.StartsWith("db-", StringComparison.Ordinal));

    // What Development brings by itself, and what every other environment must be given.
    await using var embedded = await EmbeddedServers.StartAsync(builder.Configuration, builder.Environment);
    DevKey.Configure(builder.Configuration, builder.Environment);
    StartCheck.Run(builder.Configuration, builder.Environment);

    builder.Services.AddSingleton(TimeProvider.System);
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
    app.UseProblems();
    app.UseAuthentication();
    app.UseAuthorization();
    app.MapSocket();
    app.MapCarter();
    app.MapContract();
    HealthSlice.Map(app);

    var database = app.Services.GetRequiredService<DatabaseStart>();
    await database.WaitAsync();
    if (isCommand)
        return await app.RunJasperFxCommands(args);
    if (!app.Environment.IsDevelopment())
        await database.CheckSchemaAsync();
    await app.RunAsync();
    return 0;
}
catch (Exception failure) when (StartException.LineFor(failure) is { } line)
{
    await Console.Error.WriteLineAsync(line);
    return 1;
}
