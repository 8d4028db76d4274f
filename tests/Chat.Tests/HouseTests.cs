using System.CodeDom.Compiler;
using System.Collections;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using Chat.Features;
using Chat.Hosting;
using Chat.Json;
using Chat.Slices;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Chat.Tests;

/// <summary>Architecture rules that no compiler enforces. A failure names the type or file that breaks one.</summary>
public sealed partial class HouseTests(SharedApp shared) : IClassFixture<SharedApp>
{
    private const int LongestMainFile = 300;
    private const int LongestMedian = 170;
    private const BindingFlags Statics = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>Which namespace may use which others. Program, outside of all namespaces, may use all of them.</summary>
    private static readonly Dictionary<string, string[]> Arrows = new()
    {
        ["Chat.Json"] = [],
        ["Chat.RateLimiting"] = [],
        ["Chat.Edge"] = [],
        ["Chat.Settings"] = ["Chat.Edge"],
        ["Chat.Telemetry"] = ["Chat.Settings"],
        ["Chat.Hosting"] = ["Chat.Telemetry"],
        ["Chat.Tokens"] = ["Chat.Json", "Chat.Telemetry"],
        ["Chat.Storage"] = ["Chat.Hosting", "Chat.Json", "Chat.RateLimiting", "Chat.Telemetry"],
        ["Chat.Embedded"] = ["Chat.Hosting", "Chat.Tokens"],
        ["Chat.Socket"] = ["Chat.Edge", "Chat.Hosting", "Chat.Json", "Chat.RateLimiting", "Chat.Storage", "Chat.Telemetry", "Chat.Tokens"],
        ["Chat.Backplane"] = ["Chat.Hosting", "Chat.Json", "Chat.Socket", "Chat.Telemetry"],
        ["Chat.Rest"] = ["Chat.Hosting", "Chat.RateLimiting", "Chat.Socket", "Chat.Storage", "Chat.Telemetry"],
        ["Chat.Slices"] = ["Chat.Backplane", "Chat.Hosting", "Chat.Socket", "Chat.Storage", "Chat.Tokens"],
        ["Chat.Features"] =
        [
            "Chat.Backplane", "Chat.Hosting", "Chat.Json", "Chat.RateLimiting", "Chat.Rest", "Chat.Slices", "Chat.Socket", "Chat.Storage",
                "Chat.Telemetry", "Chat.Tokens",
        ],
        ["Chat.Admin"] =
        [
            "Chat.Edge", "Chat.Features", "Chat.Hosting", "Chat.Json", "Chat.RateLimiting", "Chat.Rest", "Chat.Settings", "Chat.Socket",
                "Chat.Storage", "Chat.Telemetry", "Chat.Tokens",
        ],
        ["Chat.Startup"] = ["Chat.Hosting", "Chat.RateLimiting", "Chat.Settings", "Chat.Tokens"],
        ["Chat.Commands"] = ["Chat.Backplane", "Chat.Embedded", "Chat.Hosting", "Chat.Settings", "Chat.Socket", "Chat.Storage",
        "Chat.Telemetry", "Chat.Tokens"],
    };

    /// <summary>Which feature uses which others: complete and exact.</summary>
    private static readonly Dictionary<string, string[]> Uses = new()
    {
        ["Blocking"] = ["UserDirectory"],
        ["Conversations"] = ["Blocking", "Presence", "Unread", "UserDirectory"],
        ["Delivery"] = ["Unread"],
        ["DevToken"] = ["UserDirectory"],
        ["History"] = ["Conversations"],
        ["Presence"] = ["Blocking"],
        ["ReadReceipts"] = ["Conversations", "Delivery", "Unread"],
        ["Revocation"] = ["UserDirectory"],
        ["SendMessage"] = ["Conversations", "Delivery"],
        ["Sync"] = ["Conversations", "Delivery"],
        ["Typing"] = ["Blocking", "Conversations"],
        ["WarmUp"] = ["Conversations", "Delivery", "SendMessage", "UserDirectory"],
        ["WebClient"] = ["DevToken"],
    };

    private static readonly Assembly Server = typeof(Program).Assembly;
    private static readonly Type[] Types = [.. Server.GetTypes().Where(type => !type.IsNested && IsOurs(type))];
    private static readonly string Root = Checkout.PathOf();

    [Fact]
    public void Every_slice_is_registered()
    {
        var registered = References.Of(typeof(FeatureSlices)).OfType<Type>()
            .Where(type => type.IsAssignableTo(typeof(ISlice)) && type != typeof(ISlice));

        Assert.Equal(SliceTypes().Select(type => type.Name).Order(), registered.Select(type => type.Name).Order());
    }

    [Fact]
    public void Every_slice_has_a_folder_and_a_main_file_of_its_name()
    {
        var folders = Directory.GetDirectories(Source("Features")).Select(folder => Path.GetFileName(folder)).ToArray();

        Assert.Equal(SliceTypes().Select(type => type.Name).Order(), folders.Select(folder => $"{folder}Slice").Order());
        Assert.All(folders, folder => Assert.Contains(
            $"class {folder}Slice : ISlice", File.ReadAllText(Source("Features", folder, $"{folder}.cs")), StringComparison.Ordinal));
    }

    [Fact]
    public void Main_files_are_short()
    {
        var lengths = Directory.GetDirectories(Source("Features"))
            .Select(folder => Path.GetFileName(folder))
            .Select(name => (Name: name, Lines: File.ReadAllLines(Source("Features", name, $"{name}.cs")).Length))
            .OrderBy(file => file.Lines)
            .ToArray();

        Assert.All(lengths, file => Assert.True(file.Lines <= LongestMainFile, $"{file.Name}: {file.Lines} lines"));
        Assert.InRange(lengths[lengths.Length / 2].Lines, 1, LongestMedian - 1);
    }

    [Fact]
    public void Event_names_are_unique()
    {
        var names = Events().Select(NameOf).ToArray();

        Assert.Equal(names.Distinct(), names);
        Assert.All(names, name => Assert.Matches("^[a-z]+([._][a-z]+)*$", name));
    }

    [Fact]
    public void Every_event_is_in_the_JSON_context_of_its_namespace() => Assert.All(Events(), type =>
    {
        var context = Assert.Single(shared.App.Services.GetServices<IJsonTypeInfoResolver>().OfType<JsonSerializerContext>(),
            one => one.GetType().Namespace == type.Namespace);
        Assert.NotNull(context.GetTypeInfo(type));
        var own = (JsonTypeInfo)type.GetProperty("Json", Statics)!.GetValue(null)!;
        Assert.Equal(type, own.Type);
        Assert.Same(context.Options, own.Options);
    });

    [Fact]
    public void Every_JSON_context_uses_the_wire_options()
    {
        var contexts = shared.App.Services.GetServices<IJsonTypeInfoResolver>().OfType<JsonSerializerContext>().ToArray();
        var wire = WireJson.CreateOptions();

        Assert.Equal(4, contexts.Length);
        Assert.All(contexts.Select(context => context.Options), options =>
        {
            Assert.Same(wire.Encoder, options.Encoder);
            Assert.Same(wire.PropertyNamingPolicy, options.PropertyNamingPolicy);
            Assert.Equal(
                wire.Converters.Select(converter => converter.GetType()), options.Converters.Select(converter => converter.GetType()));
            Assert.Equal(
                (wire.MaxDepth, wire.NumberHandling, wire.DefaultIgnoreCondition, wire.AllowDuplicateProperties,
                wire.PropertyNameCaseInsensitive),
                (options.MaxDepth, options.NumberHandling, options.DefaultIgnoreCondition, options.AllowDuplicateProperties,
                options.PropertyNameCaseInsensitive));
        });
    }

    [Fact]
    public void Every_client_event_has_exactly_one_registered_handler()
    {
        var handled = Types.SelectMany(type => type.GetInterfaces())
            .Where(contract => contract.IsGenericType && contract.GetGenericTypeDefinition() == typeof(IHandler<>))
            .Select(contract => NameOf(contract.GetGenericArguments()[0]))
            .Order()
            .ToArray();

        Assert.Equal(handled.Distinct(), handled);
        Assert.Equal(handled, shared.App.Services.GetRequiredService<SocketDispatcher>().Names.Order());
    }

    [Fact]
    public void Only_the_socket_core_knows_WebSockets() =>
        Assert.Equal(
            [typeof(Connection).Namespace],
            Types.Where(type => References.TypesOf(type).Any(used => used.Namespace == "System.Net.WebSockets"))
                .Select(type => type.Namespace).Distinct());

    [Fact]
    public void Namespaces_depend_on_each_other_in_one_direction()
    {
        var broken = from type in Types
                     where type.Namespace is { } part && Arrows.ContainsKey(part)
                     from used in References.TypesOf(type)
                     where used.Assembly == Server && used.Namespace is not null && used.Namespace != type.Namespace && IsOurs(used)
                     where !Arrows[type.Namespace!].Contains(used.Namespace)
                     select $"{type} uses {used}";

        Assert.Empty(broken);
        Assert.Equal(Arrows.Keys.Order(), Types.Select(type => type.Namespace).OfType<string>().Distinct().Order());
    }

    [Fact]
    public void Features_depend_only_on_the_features_listed()
    {
        var features = FeaturesByType();
        var uses = from type in Types
                   where type.Namespace == "Chat.Features" && features.ContainsKey(NameWithoutArity(type))
                   let feature = features[NameWithoutArity(type)]
                   from used in References.TypesOf(type)
                   where used.Assembly == Server && used.Namespace == "Chat.Features" && features.ContainsKey(NameWithoutArity(used))
                   let other = features[NameWithoutArity(used)]
                   where other != feature
                   select (feature, other);

        var allowed = Uses.SelectMany(entry => entry.Value, (entry, other) => $"{entry.Key} -> {other}").ToArray();
        var actual = uses.Distinct().Select(use => $"{use.feature} -> {use.other}").ToArray();
        // With a message of its own, because xunit truncates lists.
        Assert.True(actual.ToHashSet().SetEquals(allowed),
            $"New: {string.Join(", ", actual.Except(allowed))}. Gone: {string.Join(", ", allowed.Except(actual))}.");
    }

    [Fact]
    public void Static_documents_do_not_change()
    {
        var changeable = from type in Server.GetTypes()
                         where IsOurs(References.Outermost(type))
                             && !type.IsDefined(typeof(CompilerGeneratedAttribute)) && !IsGenerated(type)
                         from field in type.GetFields(Statics)
                         where !field.IsLiteral && !field.IsDefined(typeof(CompilerGeneratedAttribute))
                         where !field.IsInitOnly || IsCollectionThatChanges(field.FieldType)
                         select $"{type}.{field.Name}";
        var settable = from type in Server.GetTypes()
                       where IsOurs(References.Outermost(type)) && !IsGenerated(type)
                       from property in type.GetProperties(Statics)
                       where property.CanWrite
                       select $"{type}.{property.Name}";

        Assert.Empty(changeable.Concat(settable));
    }

    [Fact]
    public void All_code_uses_the_injected_clock()
    {
        var forbidden = new[] { "System.DateTime.get_UtcNow", "System.DateTime.get_Now", "System.DateTimeOffset.get_UtcNow",
            "System.DateTimeOffset.get_Now", "System.Environment.get_TickCount64", "System.Environment.get_TickCount" };
        var broken = from type in Types
                     where type.Namespace != "Chat.Embedded"
                     from used in References.Of(type)
                     let name = used is Type ? $"{used}" : $"{used.DeclaringType}.{used.Name}"
                     where forbidden.Contains(name) || (used as Type ?? used.DeclaringType) == typeof(System.Diagnostics.Stopwatch)
                     select $"{type} uses {name}";

        Assert.Empty(broken);
    }

    [Fact]
    public void All_waiting_uses_the_injected_clock()
    {
        // Before the host is built there is no injected clock: Development's own servers start with the system's.
        var broken = from type in Types
                     where type.Namespace != "Chat.Embedded"
                     from used in WaitsBySystemTime(type)
                     select $"{type} uses {used.DeclaringType}.{used.Name}";
        var system =
            Types.Where(type => References.Of(type).Any(used => used.DeclaringType == typeof(TimeProvider) && used.Name == "get_System"));

        Assert.Empty(broken);
        Assert.Equal([typeof(Failpoint)], system);
    }

    [Fact]
    public void No_test_sleeps()
    {
        string[] sleeps = [$"Task.{"Delay"}(", $"Thread.{"Sleep"}("];
        // The fault bench beside the tests lets time pass on purpose.
        var sleeping = from file in SourceFiles(Path.Combine(Root, "tests", "Chat.Tests"))
            .Concat(SourceFiles(Source("Features")).Where(file => file.EndsWith(".Hooks.cs", StringComparison.Ordinal)))
                       where Path.GetFileName(file) != "Eventually.cs"
                       let text = File.ReadAllText(file)
                       where sleeps.Any(sleep => text.Contains(sleep, StringComparison.Ordinal))
                       select Path.GetRelativePath(Root, file);

        Assert.Empty(sleeping);
    }

    [Fact]
    public void Test_hooks_are_not_compiled_into_the_server() =>
        Assert.DoesNotContain(Server.GetTypes(), type => type.Name.EndsWith("Hooks", StringComparison.Ordinal));

    [Fact]
    public void The_rules_inspect_something()
    {
        // If these were empty, every rule above would hold trivially.
        Assert.Contains(typeof(SocketRoute), References.TypesOf(typeof(SocketDispatcher)));
        Assert.Contains(References.Of(typeof(TimeInABody)), used => used.Name == "get_UtcNow");
        Assert.Contains(typeof(System.Diagnostics.Stopwatch), References.TypesOf(typeof(TimeInABody)));
        Assert.Equal(["WaitAsync", ".ctor"], WaitsBySystemTime(typeof(TimeInABody)).Select(used => used.Name).OrderDescending());
        Assert.True(Types.Length > 100);
        Assert.True(Events().Count > 20);
        Assert.True(FeaturesByType().Count > 50);
    }

    [Fact]
    public void Log_event_ids_are_unique()
    {
        var ids = Server.GetTypes()
            .SelectMany(type => type.GetMethods(BindingFlags.Instance | Statics))
            .Select(method => (method, line: method.GetCustomAttribute<LoggerMessageAttribute>()))
            .Where(one => one.line is not null)
            .ToArray();

        Assert.All(ids, one =>
            Assert.True(one.line!.EventId > 0, $"{one.method.DeclaringType}.{one.method.Name} has no event id: [LoggerMessage(<id>, …)]"));
        Assert.All(ids.GroupBy(one => one.line!.EventId), group => Assert.True(
            group.Count() == 1, $"{group.Key} is the event id of {string.Join(" and ", group.Select(one => one.method.Name))}"));
        Assert.True(ids.Length > 30);
    }

    private static IEnumerable<MethodBase> WaitsBySystemTime(Type type)
    {
        Type[] waiting = [typeof(Task), typeof(SemaphoreSlim), typeof(CancellationTokenSource), typeof(PeriodicTimer), typeof(Timer)];
        return from used in References.Of(type).OfType<MethodBase>()
               where waiting.Any(used.DeclaringType!.IsAssignableTo)
               let takes = used.GetParameters()
               where takes.Any(parameter =>
                   parameter.ParameterType == typeof(TimeSpan) || parameter.Name!.StartsWith("milliseconds", StringComparison.Ordinal))
               where takes.All(parameter => parameter.ParameterType != typeof(TimeProvider))
               select used;
    }

    private static IEnumerable<Type> SliceTypes() => Types.Where(type => type.IsClass && type.IsAssignableTo(typeof(ISlice)));

    private static IReadOnlyList<Type> Events() => [.. Types.Where(type => type.GetInterfaces().Any(contract =>
        contract.IsGenericType && contract.GetGenericTypeDefinition() == typeof(IEvent<>) && contract.GetGenericArguments()[0] == type))];

    private static string NameOf(Type type) => (string)type.GetProperty("Name", Statics)!.GetValue(null)!;

    // Source generators add types of their own in separate namespaces.
    private static bool IsOurs(Type type) =>
        (type.Namespace is null or "Chat" || type.Namespace.StartsWith("Chat.", StringComparison.Ordinal))
            && !type.Name.StartsWith('<') && !IsGenerated(type);

    private static bool IsGenerated(Type type) =>
        type.IsDefined(typeof(GeneratedCodeAttribute)) && !type.IsAssignableTo(typeof(JsonSerializerContext));

    private static bool IsCollectionThatChanges(Type type) =>
        !type.IsArray && type.IsAssignableTo(typeof(IEnumerable)) && type.GetMethod("Add") is not null
        && type.Namespace is not ("System.Collections.Frozen" or "System.Collections.Immutable");

    private static string NameWithoutArity(Type type) => type.Name.Split('`')[0];

    private static Dictionary<string, string> FeaturesByType() =>
        (from file in SourceFiles(Source("Features"))
         where !file.EndsWith(".Hooks.cs", StringComparison.Ordinal) && Path.GetDirectoryName(file) != Source("Features")
         from Match declared in Declaration().Matches(File.ReadAllText(file))
         select (Type: declared.Groups[1].Value, Feature: Path.GetFileName(Path.GetDirectoryName(file)!)))
        .Distinct()
        .ToDictionary(declared => declared.Type, declared => declared.Feature);

    private static IEnumerable<string> SourceFiles(string folder) => Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
        .Where(file => !Path.GetRelativePath(folder, file).Split(Path.DirectorySeparatorChar).Any(part => part is "bin" or "obj"));

    private static string Source(params ReadOnlySpan<string> names) => Path.Combine([Root, "src", "Chat", .. names]);

    [GeneratedRegex(
        @"^(?:public |internal )(?:static |sealed |abstract |partial |readonly )*(?:class|interface|enum|struct|record(?: struct)?) (\w+)",
        RegexOptions.Multiline)]
    private static partial Regex Declaration();

    private static class TimeInABody
    {
        public static (DateTime, System.Diagnostics.Stopwatch) Now() => (DateTime.UtcNow, System.Diagnostics.Stopwatch.StartNew());

        public static async Task Wait()
        {
            using var end = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await Task.CompletedTask.WaitAsync(TimeSpan.FromSeconds(1));
            await Task.CompletedTask.WaitAsync(TimeSpan.FromSeconds(1), TimeProvider.System, end.Token);
        }
    }
}
