using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Chat.Features;
using Chat.Hosting;
using Chat.Rest;
using Chat.Settings;
using Chat.Socket;
using Chat.Storage;
using Chat.Telemetry;
using Marten;
using OpenTelemetry.Metrics;

namespace Chat.Admin;

/// <summary>
/// <c>GET /debug-bundle</c>: the state of a node as a zip file, for troubleshooting. Contains no secret, token, name or message
/// content; its log contains ids and addresses.
/// </summary>
internal sealed class DebugBundleModule(
    IConfiguration configuration, IHostEnvironment environment, Hub hub, Readiness readiness, MeterProvider metrics, RecentLog log,
    LevelOverrides levels,
    IDocumentStore store, DatabaseEpoch epoch, FileDescriptorBudget descriptors, AuditLog audit, TimeProvider time) : IAdminModule
{
    // A hanging PostgreSQL must not hide the other parts.
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);
    private readonly long startedAt = time.GetTimestamp();
    private int isRunning;

    public void Map(IEndpointRouteBuilder admin)
    {
        var pipeline = admin.CreateApplicationBuilder();
        pipeline.UseOpenTelemetryPrometheusScrapingEndpoint(
            metrics, predicate: _ => true, path: null, configureBranchedPipeline: null, optionsName: null);
        var scrape = pipeline.Build();
        admin.MapGet("/debug-bundle", (Delegate)(Func<HttpContext, Task<IResult>>)(http => MakeAsync(http, scrape)))
            .WithSummary("Downloads this node's state as a zip, without secrets.");
    }

    private async Task<IResult> MakeAsync(HttpContext http, RequestDelegate scrape)
    {
        if (new AdminQuery(http).Refusal is { } refusal)
            return refusal;
        if (Interlocked.Exchange(ref isRunning, 1) == 1)
            return ChatError.RateLimited(Deadline).ToProblem();
        try
        {
            audit.DebugBundleTaken(http.OperatorAddress());
            (string Name, Func<Task<string>> Make)[] parts =
            [
                ("about.json", () => Task.FromResult(Text(About(), AdminJson.Wire.BundleAbout))),
                ("settings.txt", () => Task.FromResult(string.Join('\n', SettingsReport.Lines(configuration)))),
                ("readiness.json", async () =>
                    Text(HealthModule.AnswerTo(await readiness.CheckAsync([], http.RequestAborted)), FeatureJson.Wire.HealthAnswer)),
                ("connections.json", () => Task.FromResult(Text(Connections(), AdminJson.Wire.BundleConnections))),
                ("log-levels.txt", () => Task.FromResult(string.Join('\n', levels.All))),
                ("runtime.json", () => Task.FromResult(Text(Runtime(), AdminJson.Wire.BundleRuntime))),
                ("schema.txt", SchemaAsync),
                ("metrics.txt", () => ScrapeAsync(scrape, http)),
                ("log.txt", () => Task.FromResult(string.Join('\n', log.Entries))),
            ];
            var now = time.GetUtcNow().ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
            return TypedResults.File(await ZipAsync(parts, http.RequestAborted), "application/zip", $"chat-{NodeName.Own}-{now}.zip");
        }
        finally
        {
            Volatile.Write(ref isRunning, 0);
        }
    }

    private async Task<byte[]> ZipAsync((string Name, Func<Task<string>> Make)[] parts, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, make) in parts)
            {
                string text;
                try
                {
                    text = await make().WaitAsync(Deadline, time, cancellation);
                }
                // The failure of one part is part of the picture; the others are still included.
                catch (Exception failure) when (failure is TimeoutException || DatabaseFailure.IsUnavailable(failure))
                {
                    text = $"Not available: {DatabaseFailure.ReasonOf(failure)}";
                }

                await using var entry = await zip.CreateEntry(name).OpenAsync(cancellation);
                await entry.WriteAsync(Encoding.UTF8.GetBytes(text), cancellation);
            }
        }

        return bytes.ToArray();
    }

    private BundleAbout About() => new(
        typeof(DebugBundleModule).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
        RuntimeInformation.FrameworkDescription, RuntimeInformation.OSDescription, $"{RuntimeInformation.ProcessArchitecture}",
        Environment.ProcessorCount,
        NodeName.Own, environment.EnvironmentName, time.GetUtcNow(), (long)time.GetElapsedTime(startedAt).TotalSeconds, epoch.Epoch);

    private BundleConnections Connections()
    {
        var now = time.GetUtcNow();
        var all = hub.Connections.Select(connection => ConnectionView.Of(connection, now)).ToArray();
        return new(
            $"{hub.State}", ConnectionTotals.Of(all), all.Count(view => view.IsClosing),
            all.Select(view => view.QueueEvents).DefaultIfEmpty().Max(), all.Select(view => view.AgeSeconds).DefaultIfEmpty().Max(),
            all.Select(view => view.SilentSeconds).DefaultIfEmpty().Max());
    }

    private BundleRuntime Runtime()
    {
        using var process = Process.GetCurrentProcess();
        var memory = GC.GetGCMemoryInfo();
        return new(
            process.WorkingSet64, memory.HeapSizeBytes, memory.TotalCommittedBytes, memory.FragmentedBytes,
            memory.TotalAvailableMemoryBytes,
            [.. Enumerable.Range(0, GC.MaxGeneration + 1).Select(GC.CollectionCount)], (long)GC.GetTotalPauseDuration().TotalMilliseconds,
            process.Threads.Count, ThreadPool.ThreadCount, ThreadPool.PendingWorkItemCount, ThreadPool.CompletedWorkItemCount,
            (long)process.TotalProcessorTime.TotalMilliseconds, process.HandleCount, descriptors.Allowed);
    }

    private async Task<string> SchemaAsync() =>
        await SchemaState.FindDifferenceAsync(store) ?? $"The schema {store.Options.DatabaseSchemaName} is the one of this version.";

    // As Prometheus scrapes it, without the network.
    private static async Task<string> ScrapeAsync(RequestDelegate scrape, HttpContext http)
    {
        using var body = new MemoryStream();
        var scrapeContext = new DefaultHttpContext { RequestServices = http.RequestServices, RequestAborted = http.RequestAborted };
        scrapeContext.Request.Method = HttpMethods.Get;
        scrapeContext.Response.Body = body;
        await scrape(scrapeContext);
        return Encoding.UTF8.GetString(body.ToArray());
    }

    private static string Text<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.Serialize(value, type);
}

/// <summary>Identifies the program.</summary>
internal sealed record BundleAbout(
    string Version, string Runtime, string System, string Architecture, int Processors, string Node, string Environment, DateTimeOffset At,
    long UpSeconds, Guid Epoch);

/// <summary>The connections, without their users.</summary>
internal sealed record BundleConnections(
    string State, ConnectionTotals Total, int Closing, int LongestQueueEvents, long OldestSeconds, long MostSilentSeconds);

/// <summary>The process' resource usage.</summary>
internal sealed record BundleRuntime(
    long WorkingSetBytes, long HeapBytes, long CommittedBytes, long FragmentedBytes, long AvailableBytes, IReadOnlyList<int> Collections,
    long PauseMilliseconds,
    int Threads, int PoolThreads, long PoolWaiting, long PoolDone, long ProcessorMilliseconds, int OpenFiles, long AllowedFiles);
