namespace Chat.Tests.Observing;

/// <summary>Files of the checkout that an engineer uses.</summary>
internal static class Manual
{
    /// <summary>The operations manual.</summary>
    public static string Read() => Read("docs", "operations.md");

    public static string Read(params string[] path) => File.ReadAllText(Path.Combine([Checkout, .. path]));

    private static string Checkout { get; } = FindCheckout();

    private static string FindCheckout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Chat.sln")))
            folder = Path.GetDirectoryName(folder)!;
        return folder;
    }
}
