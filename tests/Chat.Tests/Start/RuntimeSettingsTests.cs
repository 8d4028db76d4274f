using System.Text.Json;

namespace Chat.Tests.Start;

/// <summary>The runtime settings of the project file take effect: an unknown name would be ignored silently.</summary>
public sealed class RuntimeSettingsTests
{
    [Fact]
    public void The_server_runs_with_the_measured_runtime_settings()
    {
        using var file = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Chat.runtimeconfig.json")));
        var settings = file.RootElement.GetProperty("runtimeOptions").GetProperty("configProperties");

        Assert.False(settings.GetProperty("System.GC.Server").GetBoolean());
        Assert.Equal(0, settings.GetProperty("System.Threading.ThreadPool.UnfairSemaphoreSpinLimit").GetInt32());
    }
}
