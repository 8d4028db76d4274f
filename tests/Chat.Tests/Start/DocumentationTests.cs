using System.Globalization;
using System.Text.Json;
using Chat.Socket;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Start;

/// <summary>What the documents list, they list completely.</summary>
public sealed class DocumentationTests
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
    public void The_protocol_has_every_error_and_every_close()
    {
        var protocol = Read("docs", "protocol.md");
        var closes = typeof(Disconnect).GetFields().Select(field => field.GetValue(null)).OfType<Disconnect>().Where(close => close != Disconnect.Goodbye);

        Assert.All(Enum.GetValues<ErrorCode>(), code => Assert.Contains($"| `{JsonNamingPolicy.SnakeCaseUpper.ConvertName($"{code}")}` |", protocol, StringComparison.Ordinal));
        Assert.All(closes, close => Assert.Contains($"| {close.Code} |", protocol, StringComparison.Ordinal));
    }

    private static string Read(params string[] path) => File.ReadAllText(Checkout.PathOf(path));
}
