using System.Text.Json;
using Chat.Tests.Fixtures;

namespace Chat.Tests.Start;

/// <summary>The runtime settings of the project file take effect: an unknown name would be ignored silently.</summary>
public sealed class RuntimeSettingsTests
{
    [Fact]
    public void The_server_runs_with_the_measured_runtime_settings()
    {
        using var file = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Chat.runtimeconfig.json")));
        var settings = file.RootElement.Field("runtimeOptions.configProperties");

        Assert.False(settings.Flag("System.GC.Server"));
        Assert.Equal(0, settings.Number("System.Threading.ThreadPool.UnfairSemaphoreSpinLimit"));
    }
}
