using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Chat.Features;
using Chat.Socket;
using Chat.Tests.Fixtures;
using Chat.Tokens;

namespace Chat.Tests.Start;

/// <summary>What the documents list, they list completely.</summary>
public sealed partial class DocumentationTests
{
    [Fact]
    public void The_README_has_every_limit_with_its_default()
    {
        var readme = Read("README.md");
        var limits = new Limits();

        Assert.All(typeof(Limits).GetProperties(), property => Assert.Contains(
            string.Create(CultureInfo.InvariantCulture, $"| `Limits:{property.Name}` | `{property.GetValue(limits)}` |"), readme, StringComparison.Ordinal));
    }

    [Fact]
    public void The_README_has_every_setting_that_is_read_and_no_other()
    {
        var code = string.Concat(Directory.EnumerateFiles(Checkout.PathOf("src", "Chat"), "*.cs", SearchOption.AllDirectories).Order().Select(File.ReadAllText));
        var read = Setting().Matches(code).Select(setting => setting.Groups[1].Value)
            .Concat(ConnectionString().Matches(code).Select(name => $"ConnectionStrings:{name.Groups[1].Value}"))
            .Concat(FromSection().Matches(Read("src", "Chat", "Telemetry", "AdminSettings.cs")).Select(name => $"Admin:{name.Groups[1].Value}"))
            .Concat(Bound<JwtSettings>("Jwt")).Concat(Bound<WebClientSettings>("Web")).Concat(Bound<Limits>("Limits"));

        Assert.Equal(read.Distinct().Order(), SettingRow().Matches(Read("README.md")).Select(row => row.Groups[1].Value).Order());

        static IEnumerable<string> Bound<T>(string section) => typeof(T).GetProperties().Where(property => property.CanWrite).Select(property => $"{section}:{property.Name}");
    }

    [Fact]
    public void The_protocol_has_every_error_and_every_close()
    {
        var protocol = Read("docs", "protocol.md");
        var closes = typeof(Disconnect).GetFields().Select(field => field.GetValue(null)).OfType<Disconnect>().Where(close => close != Disconnect.Goodbye);

        Assert.All(Enum.GetValues<ErrorCode>(), code => Assert.Contains($"| `{JsonNamingPolicy.SnakeCaseUpper.ConvertName($"{code}")}` |", protocol, StringComparison.Ordinal));
        Assert.All(closes, close => Assert.Contains($"| {close.Code} |", protocol, StringComparison.Ordinal));
    }

    [GeneratedRegex(@"""([A-Z]\w+:[A-Z]\w+)""")]
    private static partial Regex Setting();

    [GeneratedRegex(@"GetConnectionString\(""(\w+)""\)")]
    private static partial Regex ConnectionString();

    [GeneratedRegex(@"section\[""(\w+)""\]")]
    private static partial Regex FromSection();

    [GeneratedRegex(@"^\| `(\w+:\w+)` \|", RegexOptions.Multiline)]
    private static partial Regex SettingRow();

    private static string Read(params string[] path) => File.ReadAllText(Checkout.PathOf(path));
}
