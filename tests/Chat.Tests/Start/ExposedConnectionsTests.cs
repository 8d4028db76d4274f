using Chat.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace Chat.Tests.Start;

/// <summary>A remote PostgreSQL or Redis without a password or TLS is reported at startup, one line each.</summary>
public sealed class ExposedConnectionsTests
{
    private const string LocalPostgres = "Host=127.0.0.1;Username=chat", LocalRedis = "localhost:6379";

    [Theory]
    [InlineData(LocalPostgres, null)]
    [InlineData("Host=localhost", null)]
    [InlineData("Host=::1", null)]
    [InlineData("Host=/var/run/postgresql", null)]
    [InlineData("Host=db;Password=x;SSL Mode=Require", null)]
    [InlineData("Host=db;Password=x;SSL Mode=VerifyFull", null)]
    [InlineData("Host=db;Passfile=/run/secrets/pass;SSL Mode=Require", null)]
    [InlineData("Host=db;Password=x", "TLS (SSL Mode=Require at least)")]
    [InlineData("Host=db;Password=x;SSL Mode=Prefer", "TLS (SSL Mode=Require at least)")]
    [InlineData("Host=db;Password=x;SSL Mode=Disable", "TLS (SSL Mode=Require at least)")]
    [InlineData("Host=db;SSL Mode=Require", "a password")]
    [InlineData("Host=10.0.0.1", "a password and TLS (SSL Mode=Require at least)")]
    [InlineData("Host=127.0.0.1,db:5433", "a password and TLS (SSL Mode=Require at least)")]
    public void Of_PostgreSQL(string connection, string? lacks) =>
        Assert.Equal(lacks, Find(connection, LocalRedis).SingleOrDefault().Lacks);

    [Theory]
    [InlineData(LocalRedis, null)]
    [InlineData("127.0.0.1", null)]
    [InlineData("[::1]:6379", null)]
    [InlineData("redis:6380,password=x,ssl=true", null)]
    [InlineData("redis,password=x", "TLS (ssl=true)")]
    [InlineData("redis:6380,ssl=true", "a password")]
    [InlineData("redis:6379", "a password and TLS (ssl=true)")]
    [InlineData("127.0.0.1:6379,10.1.2.3:6379", "a password and TLS (ssl=true)")]
    public void Of_Redis(string connection, string? lacks) => Assert.Equal(lacks, Find(LocalPostgres, connection).SingleOrDefault().Lacks);

    [Fact]
    public void Each_warning_is_one_line_without_the_secret()
    {
        var logged = new FakeLogger();

        ExposedConnections.Warn(With("Host=db;Password=hidden-one", "redis:6379,password=hidden-two"), logged);

        var lines = logged.Collector.GetSnapshot();
        Assert.Equal((2, true), (lines.Count, lines.All(line => line.Level == LogLevel.Warning)));
        Assert.DoesNotContain(lines,
            line => line.Message.Contains("hidden", StringComparison.Ordinal) || line.Message.Contains('\n', StringComparison.Ordinal));
    }

    private static IEnumerable<(string Name, string Places, string Lacks)> Find(string postgres, string redis) =>
        ExposedConnections.Find(With(postgres, redis));

    private static IConfiguration With(string postgres, string redis) => new ConfigurationBuilder()
        .AddInMemoryCollection([new("ConnectionStrings:Postgres", postgres), new("ConnectionStrings:Redis", redis)])
        .Build();
}
