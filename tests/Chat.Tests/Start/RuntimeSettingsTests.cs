using System.Text.Json;

namespace Chat.Tests.Start;

/// <summary>What the project file asks of the runtime must reach it: a name that is not known there is no error.</summary>
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
