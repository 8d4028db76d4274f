using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Chat.Features;
using Chat.Tests.Embedded;
using Chat.Tests.Fixtures;
using Chat.Tests.Start;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace Chat.Tests.Observing;

/// <summary>Export of metrics to Prometheus, by OTLP or to nowhere; and the dashboards and alerts that use them.</summary>
public sealed partial class ExportTests
{
    [Fact]
    public async Task Prometheus_scrapes_metrics_from_a_loopback_port_of_their_own()
    {
        // A process of its own: OpenTelemetry selects meters by name, and the test process has many nodes.
        var settings = await Production.Settings();
        using (var schema = ServerProcess.Launch(settings, "db-apply"))
            Assert.Equal(0, await schema.Exit());
        var port = TestPort.Pick();
        settings["Admin__Port"] = $"{port}";
        using var server = await ServerProcess.StartListening(settings);
        await using var app = await ChatApp.Start();
        var (alice, bob) = (ChatApp.NewUser(), ChatApp.NewUser());
        using var http = new HttpClient
        {
            BaseAddress = server.Address,
            DefaultRequestHeaders = { Authorization = new("Bearer", Production.TokenFor(alice)) }
        };
        var opened = await http.PostAsJsonAsync("/chat/conversations", new { userId = bob.Id });
        var conversation = (await opened.Content.ReadFromJsonAsync<JsonElement>()).Id("id");
        using var socket = new ClientWebSocket();
        await socket.ConnectAsync(
            new Uri($"ws://{server.Address.Authority}/chat/ws?token={Production.TokenFor(alice)}"), CancellationToken.None);
        await using var atAlice = new SocketClient(socket);
        await atAlice.SendMessage(conversation, "hi", "t1");
        await atAlice.SendMessage(conversation, "hi", "t1");
        await atAlice.Settle();
        using var admin = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };

        // Metrics of failures do not exist yet; all others do, under exactly the names that the rule gives.
        string[] notYet = ["chat.handshakes.refused", "chat.limits.hit", "chat.messages.unavailable", "chat.send_queue.dropped",
            "chat.delivery.repaired", "chat.redis.interruptions", "chat.presence.transitions", "chat.connections.closed"];
        var names = app.Instruments().Where(instrument => !notYet.Contains(instrument.Name)).SelectMany(PrometheusNames).ToArray();
        // The gauges appear with the first heartbeat and the first readiness check, and responses are cached for a moment.
        var text = "";
        await Eventually.UntilNoError(
            async () =>
            {
                text = await admin.GetStringAsync("/metrics");
                return Array.Find(names, name => !Regex.IsMatch(text, $"(?m)^{name}[{{ ]"));
            });
        Assert.Contains("chat_event_duration_seconds_count{", text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/metrics")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await admin.GetAsync("/health/live")).StatusCode);
        using var elsewhere = new TcpClient();
        await Assert.ThrowsAnyAsync<SocketException>(() => elsewhere.ConnectAsync(IPAddress.Parse("127.0.0.2"), port));
    }

    [Fact]
    public async Task Nothing_is_collected_without_a_listener()
    {
        await using var app = await ChatApp.Start();

        Assert.Null(app.Services.GetService<MeterProvider>());
        Assert.Null(app.Services.GetService<TracerProvider>());
        Assert.Null(app.Services.GetService<LoggerProvider>());
    }

    [Fact]
    public async Task OTLP_exports_every_signal_with_a_configured_endpoint()
    {
        await using var collector = await Collector.Start();
        await using var app = await ChatApp.Start(new()
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Address,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
            ["OTEL_METRIC_EXPORT_INTERVAL"] = "100",
            ["OTEL_BSP_SCHEDULE_DELAY"] = "100",
            ["OTEL_BLRP_SCHEDULE_DELAY"] = "100",
            ["OTEL_SERVICE_NAME"] = "a-name-of-its-own",
            ["Logging:LogLevel:Default"] = "Information",
        });
        await using var client = await app.Connect(ChatApp.NewUser());
        await client.SendMessage(Guid.NewGuid(), "hi");

        await Eventually.Until(
            "all three have come", () => collector.Paths.ToHashSet().SetEquals(["/v1/metrics", "/v1/traces", "/v1/logs"]));
        Assert.All(collector.Bodies, body => Assert.Contains("a-name-of-its-own", body, StringComparison.Ordinal));
        await Eventually.Until(
            "the event is in the trace", () => collector.Bodies.Any(body => body.Contains("message.send", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task OTLP_exports_one_signal_if_only_that_one_has_an_endpoint()
    {
        await using var app = await ChatApp.Start(new()
        {
            ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = "http://127.0.0.1:1/v1/traces",
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
        });

        Assert.NotNull(app.Services.GetService<TracerProvider>());
        Assert.Null(app.Services.GetService<MeterProvider>());
        Assert.Null(app.Services.GetService<LoggerProvider>());
    }

    [Theory]
    [InlineData("chat-dashboard.json")]
    [InlineData("chat-alerts.yaml")]
    public async Task Dashboards_and_alerts_only_use_existing_metrics(string file)
    {
        await using var app = await ChatApp.Start();
        var text = Manual.Read("deploy", "grafana", file);
        if (file.EndsWith(".json", StringComparison.Ordinal))
            Assert.True(JsonDocument.Parse(text).RootElement.List("panels").Length > 10);

        var named = MetricName().Matches(text).Select(match => match.Value).Distinct().ToArray();
        var known = app.Instruments().SelectMany(PrometheusNames).ToHashSet();

        Assert.True(named.Length > 8);
        Assert.Empty(named.Except(known));
    }

    [Fact]
    public void Every_alert_has_exactly_one_runbook_and_a_test_case_in_which_it_fires()
    {
        var alerts = Alert().Matches(Manual.Read("deploy", "grafana", "chat-alerts.yaml")).Select(alert => alert.Groups[1].Value).ToArray();
        var cases = Manual.Read(".ci", "alerts.test.yaml");

        Assert.True(alerts.Length > 8);
        Assert.Equal(alerts.Order(), Runbook().Matches(Manual.Read()).Select(chapter => chapter.Groups[1].Value).Order());
        Assert.All(alerts, alert => Assert.Matches($@"alertname: {alert}\s+exp_alerts:\s+- \{{", cases));
    }

    /// <summary>OpenTelemetry's rule for Prometheus names.</summary>
    private static string[] PrometheusNames(Instrument instrument)
    {
        var name = instrument.Name.Replace('.', '_') + (instrument.Unit == "s" ? "_seconds" : "");
        return instrument switch
        {
            Histogram<double> or Histogram<int> => [$"{name}_bucket", $"{name}_sum", $"{name}_count"],
            Counter<int> => [$"{name}_total"],
            _ => [name],
        };
    }

    [GeneratedRegex(@"\bchat_[a-z_]+")]
    private static partial Regex MetricName();

    [GeneratedRegex(@"^\s*- alert: (\w+)", RegexOptions.Multiline)]
    private static partial Regex Alert();

    [GeneratedRegex(@"^### (Chat\w+)$", RegexOptions.Multiline)]
    private static partial Regex Runbook();

    /// <summary>An OTLP receiver over HTTP.</summary>
    private sealed class Collector(WebApplication app) : IAsyncDisposable
    {
        private readonly ConcurrentQueue<(string Path, string Body)> received = new();

        public string Address => app.Urls.Single();

        public IEnumerable<string> Paths => received.Select(one => one.Path);

        public IEnumerable<string> Bodies => received.Select(one => one.Body);

        public static async Task<Collector> Start()
        {
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
            builder.Logging.ClearProviders();
            var collector = new Collector(builder.Build());
            await collector.Run();
            return collector;
        }

        public async ValueTask DisposeAsync() => await app.DisposeAsync();

        private async Task Run()
        {
            app.Run(async http =>
            {
                using var body = new MemoryStream();
                await http.Request.Body.CopyToAsync(body);
                received.Enqueue((http.Request.Path, System.Text.Encoding.Latin1.GetString(body.ToArray())));
            });
            await app.StartAsync();
        }
    }
}
