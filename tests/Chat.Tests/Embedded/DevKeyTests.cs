using Chat.Embedded;
using Chat.Tests.Fixtures;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Hosting.Internal;

namespace Chat.Tests.Embedded;

public sealed class DevKeyTests : IDisposable
{
    private readonly TempFolder temp = new();

    private string KeyFile => temp.Below(".data", DevKey.File);

    public void Dispose() => temp.Dispose();

    [Fact]
    public void The_key_is_created_once_and_reused()
    {
        var key = Configured();

        Assert.True(key.Length >= 32);
        Assert.Equal(key, Configured());
    }

    [UnixFact]
    public void The_key_file_is_private_even_if_an_earlier_version_left_it_readable()
    {
        var key = Configured();
        if (OperatingSystem.IsWindows())
            return;
        File.SetUnixFileMode(KeyFile, File.GetUnixFileMode(KeyFile) | UnixFileMode.OtherRead);
        File.SetUnixFileMode(
            temp.Below(".data"), File.GetUnixFileMode(temp.Below(".data")) | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);

        Assert.Equal(key, Configured());

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(KeyFile));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(temp.Below(".data")));
    }

    [Fact]
    public void A_truncated_file_is_replaced()
    {
        Configured();
        File.WriteAllText(KeyFile, "");

        Assert.True(Configured().Length >= 32);
    }

    private string Configured()
    {
        using var configuration = new ConfigurationManager();
        DevKey.Configure(configuration, new HostingEnvironment { EnvironmentName = Environments.Development, ContentRootPath = temp.Path });
        return configuration["Jwt:Key"]!;
    }
}
