using System.Diagnostics;

namespace Chat.Tests.Fixtures;

/// <summary>A real nginx in front of a server under test, with a folder of its own.</summary>
internal sealed class Nginx : IAsyncDisposable
{
    private static readonly string? Binary =
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Append("/usr/sbin")
        .Select(folder => Path.Combine(folder, "nginx"))
        .FirstOrDefault(File.Exists);

    private readonly TempFolder folder = new();
    private readonly Process process;

    private Nginx(string location)
    {
        var port = TestPort.Pick();
        Address = new Uri($"http://127.0.0.1:{port}");
        File.WriteAllText(folder.Below("nginx.conf"), $$"""
            daemon off;
            master_process off;
            pid {{folder.Below("pid")}};
            error_log stderr;
            events { }
            http {
              access_log off;
              client_body_temp_path {{folder.Below("body")}};
              proxy_temp_path {{folder.Below("proxy")}};
              fastcgi_temp_path {{folder.Below("fastcgi")}};
              uwsgi_temp_path {{folder.Below("uwsgi")}};
              scgi_temp_path {{folder.Below("scgi")}};
              map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
              server {
                listen 127.0.0.1:{{port}};
                {{location}}
              }
            }
            """);
        process = Process.Start(new ProcessStartInfo(
            Binary!, ["-p", folder.Path, "-e", "stderr", "-c", folder.Below("nginx.conf")])
        { RedirectStandardError = true })!;
    }

    /// <summary>Why nginx is not available; null if it is.</summary>
    public static string? Missing { get; } = Binary is null ? "There is no nginx here." : null;

    public Uri Address { get; }

    /// <summary>Starts nginx.</summary>
    /// <param name="location">The location block of its configuration.</param>
    public static async Task<Nginx> Start(string location)
    {
        var nginx = new Nginx(location);
        using var http = new HttpClient();
        await Eventually.UntilNoError(async () =>
        {
            Assert.False(nginx.process.HasExited, nginx.process.HasExited ? await nginx.process.StandardError.ReadToEndAsync() : "");
            try
            {
                using var answer = await http.GetAsync(nginx.Address);
                return null;
            }
            catch (HttpRequestException away)
            {
                return away.Message;
            }
        });
        return nginx;
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        folder.Dispose();
    }
}

/// <summary>A theory that requires nginx.</summary>
public sealed class NginxTheoryAttribute : TheoryAttribute
{
    public NginxTheoryAttribute() => Skip = Nginx.Missing;
}
