namespace Chat.Tests.Fixtures;

/// <summary>A fact about signals and processes as Unix has them.</summary>
public sealed class UnixFactAttribute : FactAttribute
{
    public UnixFactAttribute() => Skip = OperatingSystem.IsWindows() ? "About Unix processes." : null;
}

/// <summary>A fact about root, which only root can show.</summary>
public sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute() => Skip = OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess ? "Only root can show it." : null;
}
