using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Serialization.Metadata;
using Chat.Hosting;
using Chat.Json;
using JasperFx;
using Marten;
using Npgsql;
using Weasel.Core;

namespace Chat.Storage;

/// <summary>Configures Marten and the documents of the message path; the slices add their own.</summary>
internal static class StorageRegistration
{
    public static IServiceCollection AddStorage(
        this IServiceCollection services, IConfiguration configuration, bool isDevelopment, bool forCommand)
    {
        var connectionString = Tune(configuration.GetConnectionString("Postgres")!, forCommand);
        services.AddSingleton(provider => Open(provider, connectionString));
        // A pool rotates its connections, thirty PostgreSQL sessions with a cache each. The log has a few of its own, so that its
        // hot statements stay cached, and never wait behind other work.
        services.AddKeyedSingleton(ConversationLog.Connections,
            (provider, _) => Open(provider, $"{connectionString};Maximum Pool Size={ConversationLog.MaxConnections}"));
        var tables = new TableNames(configuration["Storage:Schema"] ?? "chat");
        services.AddSingleton(tables);
        services.AddSingleton<IJsonTypeInfoResolver>(StorageJson.Wire);
        var marten = services.AddMarten(provider =>
        {
            var options = new StoreOptions();
            options.DatabaseSchemaName = tables.Schema;
            options.Storage.ExtendedSchemaObjects.Add(Journal.TableFor(tables));
            options.Storage.ExtendedSchemaObjects.AddRange(AppendFunction.FunctionsFor(tables));
            options.AutoCreateSchemaObjects = isDevelopment ? AutoCreate.CreateOrUpdate : AutoCreate.None;
            options.UseSystemTextJsonForSerialization(
                WireJson.ForDocuments(provider.GetServices<IJsonTypeInfoResolver>()), EnumStorage.AsString, Casing.CamelCase);
            options.Policies.DisableInformationalFields();
            // Retries are decided by the callers; see ConversationLog.
            options.ConfigurePolly(_ => { });
            options.Logger(new NullMartenLogger());
            options.ConfigureWritePolly(_ => { });
            MessageDocuments(options);
            foreach (var documents in provider.GetServices<Action<StoreOptions>>())
                documents(options);
            return options;
        }).UseLightweightSessions().UseNpgsqlDataSource();
        if (isDevelopment)
            marten.ApplyAllDatabaseChangesOnStartup();

        services.AddSingleton<ChangeReader>();
        services.AddSingleton<DatabaseStartup>();
        services.AddHostedSingleton<DatabaseEpoch>();
        services.AddHostedSingleton<DatabaseMonitor>();
        services.AddHostedSingleton<ConversationLog>();
        services.AddSingleton<Journal>();
        services.AddSingleton<Func<IEnumerable<IJournalObserver>>>(provider => provider.GetServices<IJournalObserver>);
        services.AddHostedSingleton<JournalReader>();
        return services;
    }

    private static NpgsqlDataSource Open(IServiceProvider provider, string connectionString) =>
        new NpgsqlDataSourceBuilder(connectionString)
            .UseLoggerFactory(provider.GetRequiredService<ILoggerFactory>())
            // Polls in the background belong to no trace.
            .ConfigureTracing(tracing =>
                tracing.ConfigureCommandFilter(_ => Activity.Current is not null).ConfigureBatchFilter(_ => Activity.Current is not null))
            .Build();

    /// <summary>Duplicates a member into a column, without the index that Marten's Duplicate adds.</summary>
    public static void Column<TDocument>(this StoreOptions options, string member)
        where TDocument : notnull
    {
        options.RegisterDocumentType<TDocument>();
        options.Policies.ForAllDocuments(mapping =>
        {
            if (mapping.DocumentType == typeof(TDocument))
                mapping.DuplicateField(member);
        });
    }

    private static void MessageDocuments(StoreOptions options)
    {
        options.Schema.For<LineageDocument>();
        // No index on the head's columns: they change with every message, and without an index PostgreSQL updates in place (HOT).
        options.Column<ConversationHead>(nameof(ConversationHead.Seq));
        options.Column<ConversationHead>(nameof(ConversationHead.UpdatedAt));
        options.Column<Message>(nameof(Message.SenderId));
        options.Column<Message>(nameof(Message.ChangedSeq));
        options.Schema.For<Block>().Duplicate(block => block.BlockerId).Duplicate(block => block.BlockedId);
        options.Column<Block>(nameof(Block.BlockedAt));
        options.Schema.For<Message>()
            .UniqueIndex(Marten.Schema.UniqueIndexType.DuplicatedField, message => message.ConversationId, message => message.Seq)
            // A partial index on changed messages only, so that a new message costs nothing here; see ChangeReader.
            .Index(message => new { message.ConversationId, message.ChangedSeq }, index => index.Predicate = "changed_seq <> seq");
    }

    // Bounds every request to 5 s even if the database hangs: at worst it waits for a connection until earlier requests have timed
    // out, and then for its own statement, whose cancellation takes a moment more. Statements are prepared; no Kerberos attempt
    // on each connect. A command that changes the schema has no timeout: an index on a large table takes its time.
    internal static string Tune(string connectionString, bool forCommand = false)
    {
        var tuned = new NpgsqlConnectionStringBuilder(connectionString);
        if (forCommand)
        {
            tuned.CommandTimeout = 0;
            tuned.GssEncryptionMode = GssEncryptionMode.Disable;
            return tuned.ConnectionString;
        }

        // ShouldSerialize tells whether a keyword was given; ContainsKey is true for every known keyword.
        if (!tuned.ShouldSerialize("Command Timeout"))
            tuned.CommandTimeout = 2;
        if (!tuned.ShouldSerialize("Timeout"))
            tuned.Timeout = 2;
        if (!tuned.ShouldSerialize("Cancellation Timeout"))
            tuned.CancellationTimeout = 500;
        if (!tuned.ShouldSerialize("Max Auto Prepare"))
            tuned.MaxAutoPrepare = 100;
        // More than a node needs, and few enough for several nodes and a tool within PostgreSQL's default of 100.
        if (!tuned.ShouldSerialize("Maximum Pool Size"))
            tuned.MaxPoolSize = 30 - ConversationLog.MaxConnections;
        // We never change session state, and resetting it costs more than a small batch.
        if (!tuned.ShouldSerialize("No Reset On Close"))
            tuned.NoResetOnClose = true;
        tuned.GssEncryptionMode = GssEncryptionMode.Disable;
        // No JIT: our statements are short, and compiling takes half a second once per session. PostgreSQL enforces timeouts, too:
        // if a node is cut off or frozen, it ends the statement, and the transaction whose locks all other nodes wait for. As
        // startup options, because those survive the pool's reset.
        var serverTimeout = tuned.CommandTimeout * 2;
        if (!tuned.ShouldSerialize("Options"))
            tuned.Options = string.Create(CultureInfo.InvariantCulture,
                $"-c statement_timeout={serverTimeout}s -c idle_in_transaction_session_timeout={serverTimeout}s -c jit=off");
        return tuned.ConnectionString;
    }
}
