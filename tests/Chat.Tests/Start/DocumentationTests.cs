using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Chat.Features;
using Chat.RateLimiting;
using Chat.Settings;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Chat.Tokens;

namespace Chat.Tests.Start;

/// <summary>Lists in the documentation are complete.</summary>
public sealed partial class DocumentationTests
{
    [Fact]
    public void The_README_has_the_settings_table_of_the_catalog()
    {
        var readme = Read("README.md");
        var table = SettingsTable().Match(readme).Groups[1];
        var expected = string.Concat(SettingsCatalog.All.Select(setting => $"{setting.Row}\n"));
        if (Environment.GetEnvironmentVariable("CHAT_RENEW") == "1")
            File.WriteAllText(Checkout.PathOf("README.md"), readme.Remove(table.Index, table.Length).Insert(table.Index, expected));

        Assert.True(
            SettingsTable().Match(Read("README.md")).Groups[1].Value == expected,
            "README's table of settings is out of date: CHAT_RENEW=1 dotnet test --filter DocumentationTests writes it from SettingsCatalog.");
    }

    [Fact]
    public void The_catalog_has_exactly_the_settings_that_are_read()
    {
        var code = string.Concat(Directory.EnumerateFiles(Checkout.PathOf("src", "Chat"), "*.cs", SearchOption.AllDirectories)
            .Where(file => Path.GetFileName(file) != "SettingsCatalog.cs").Order().Select(File.ReadAllText));
        var read = Setting().Matches(code).Select(setting => setting.Groups[1].Value)
            .Concat(ConnectionString().Matches(code).Select(name => $"ConnectionStrings:{name.Groups[1].Value}"))
            .Concat(
                FromSection().Matches(Read("src", "Chat", "Settings", "AdminSettings.cs")).Select(name => $"Admin:{name.Groups[1].Value}"))
            .Concat(Bound<JwtSettings>("Jwt")).Concat(Bound<WebClientSettings>("Web")).Concat(Bound<Limits>("Limits"))
            .Concat(["OTEL_EXPORTER_OTLP_ENDPOINT", "PathBase", "AllowedHosts"]);

        Assert.Equal(read.Distinct().Order(), SettingsCatalog.All.Select(setting => setting.Name).Order());

        static IEnumerable<string> Bound<T>(string section) =>
            typeof(T).GetProperties().Where(property => property.CanWrite).Select(property => $"{section}:{property.Name}");
    }

    [Fact]
    public void The_catalog_has_the_effective_defaults_and_all_can_be_set()
    {
        var limits = new Limits();

        Assert.All(typeof(Limits).GetProperties(), property =>
        {
            var setting = SettingsCatalog.Find($"Limits:{property.Name}");
            var byDefault = string.Create(CultureInfo.InvariantCulture, $"{property.GetValue(limits)}");
            Assert.Equal($"`{byDefault}`", setting?.Default);
            Assert.Null(setting!.Validate(byDefault));
        });
    }

    [Fact]
    public void The_protocol_lists_every_error_and_close_code()
    {
        var protocol = Read("docs", "protocol.md");
        var closes = typeof(Disconnect).GetFields().Select(field => field.GetValue(null)).OfType<Disconnect>()
            .Where(close => close != Disconnect.NormalClosure);

        Assert.All(Enum.GetValues<ErrorCode>(),
            code => Assert.Contains($"| `{JsonNamingPolicy.SnakeCaseUpper.ConvertName($"{code}")}` |", protocol, StringComparison.Ordinal));
        Assert.All(closes, close => Assert.Contains($"| {close.Code} |", protocol, StringComparison.Ordinal));
    }

    [GeneratedRegex(@"""([A-Z]\w+:[A-Z]\w+)""")]
    private static partial Regex Setting();

    [GeneratedRegex(@"GetConnectionString\(""(\w+)""\)")]
    private static partial Regex ConnectionString();

    [GeneratedRegex(@"section\[""(\w+)""\]")]
    private static partial Regex FromSection();

    [GeneratedRegex(@"\| setting \| default \| \|\n\| --- \| --- \| --- \|\n((?:\|.*\n)+)")]
    private static partial Regex SettingsTable();

    private static string Read(params string[] path) => File.ReadAllText(Checkout.PathOf(path));
}
