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
    public void A_key_is_made_once_and_stays()
    {
        var key = Configured();

        Assert.True(key.Length >= 32);
        Assert.Equal(key, Configured());
    }

    [UnixFact]
    public void Nobody_else_may_read_it_also_where_an_earlier_version_let_them()
    {
        var key = Configured();
        if (OperatingSystem.IsWindows())
            return;
        File.SetUnixFileMode(KeyFile, File.GetUnixFileMode(KeyFile) | UnixFileMode.OtherRead);
        File.SetUnixFileMode(temp.Below(".data"), File.GetUnixFileMode(temp.Below(".data")) | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);

        Assert.Equal(key, Configured());

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(KeyFile));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(temp.Below(".data")));
    }

    [Fact]
    public void A_file_that_was_cut_short_is_made_anew()
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
