namespace Chat.Tests.Fixtures;

/// <summary>The checkout that the tests were built from.</summary>
internal static class Checkout
{
    private static readonly string Root = FindRoot();

    public static string PathOf(params ReadOnlySpan<string> path) => Path.Combine([Root, .. path]);

    private static string FindRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Chat.sln")))
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests run outside of the checkout.");
        return folder;
    }
}
