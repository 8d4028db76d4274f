using Carter;
using Chat;
using Chat.Backplane;
using Chat.Features;
using Chat.Rest;
using Chat.Socket;
using Chat.Storage;
using Chat.Tokens;

var builder = WebApplication.CreateBuilder(args);
var modules = new List<Type>();

builder.Services.AddSingleton(TimeProvider.System);
builder.Services.AddTokens(builder.Configuration);
builder.Services.AddStorage(builder.Configuration, builder.Environment.IsDevelopment());
builder.Services.AddSocket();
builder.Services.AddBackplane();
Slices.AddAll(new SliceBuilder(builder.Services, modules));
builder.Services.AddCarter(configurator: carter => carter.WithModules([.. modules]));
builder.Services.AddProblems();
builder.Services.ConfigureHttpJsonOptions(json => ChatJson.ForRest(json.SerializerOptions));

var app = builder.Build();
app.UseProblems();
app.UseAuthentication();
app.UseAuthorization();
app.MapSocket();
app.MapCarter();
HealthSlice.Map(app);
app.Run();
