namespace Chat.Tests.Fixtures;

/// <summary>A fact about Unix signals and processes.</summary>
public sealed class UnixFactAttribute : FactAttribute
{
    public UnixFactAttribute() => Skip = OperatingSystem.IsWindows() ? "About Unix processes." : null;
}

/// <summary>A fact that requires root.</summary>
public sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute() => Skip = OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess ? "Only root can show it." : null;
}
