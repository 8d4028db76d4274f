using Chat.Tests.Fixtures;

namespace Chat.Tests.Observing;

/// <summary>Files of the checkout for operators.</summary>
internal static class Manual
{
    /// <summary>The operations manual.</summary>
    public static string Read() => Read("docs", "operations.md");

    public static string Read(params ReadOnlySpan<string> path) => File.ReadAllText(Checkout.PathOf(path));
}
