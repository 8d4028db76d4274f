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

/// <summary>Sets up Marten and the documents that the message path lives on; the slices add their own.</summary>
internal static class StorageRegistration
{
    public static IServiceCollection AddStorage(this IServiceCollection services, IConfiguration configuration, bool isDevelopment, bool forCommand)
    {
        var connectionString = Tune(configuration.GetConnectionString("Postgres")!, forCommand);
        services.AddSingleton(provider => Open(provider, connectionString));
        // The pool hands its connections out in turns, thirty sessions of PostgreSQL each with caches of its own: the few
        // statements that are most of the work stay with a few, and wait behind nobody's rush.
        services.AddKeyedSingleton(ConversationLog.Connections, (provider, _) => Open(provider, $"{connectionString};Maximum Pool Size={ConversationLog.MaxConnections}"));
        var tables = new TableNames(configuration["Storage:Schema"] ?? "chat");
        services.AddSingleton(tables);
        services.AddSingleton<IJsonTypeInfoResolver>(StorageJson.Wire);
        var marten = services.AddMarten(provider =>
        {
            var options = new StoreOptions();
            options.DatabaseSchemaName = tables.Schema;
            options.Storage.ExtendedSchemaObjects.AddRange(AppendFunction.In(tables));
            options.AutoCreateSchemaObjects = isDevelopment ? AutoCreate.CreateOrUpdate : AutoCreate.None;
            options.UseSystemTextJsonForSerialization(WireJson.ForDocuments(provider.GetServices<IJsonTypeInfoResolver>()), EnumStorage.AsString, Casing.CamelCase);
            options.Policies.DisableInformationalFields();
            // Whoever waits for an answer decides about a second try; see ConversationLog.
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
        return services;
    }

    private static NpgsqlDataSource Open(IServiceProvider provider, string connectionString) =>
        new NpgsqlDataSourceBuilder(connectionString)
            .UseLoggerFactory(provider.GetRequiredService<ILoggerFactory>())
            // What the loops ask every other second belongs to nobody's trace.
            .ConfigureTracing(tracing => tracing.ConfigureCommandFilter(_ => Activity.Current is not null).ConfigureBatchFilter(_ => Activity.Current is not null))
            .Build();

    /// <summary>A column of its own for a document's member, without the index that Marten's Duplicate brings along.</summary>
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
        // No index on the head's columns: they change with every message, and without one PostgreSQL updates in place.
        options.Column<ConversationHead>(nameof(ConversationHead.Seq));
        options.Column<ConversationHead>(nameof(ConversationHead.UpdatedAt));
        options.Column<Message>(nameof(Message.SenderId));
        options.Column<Message>(nameof(Message.ChangedSeq));
        options.Schema.For<Block>().Duplicate(block => block.BlockerId).Duplicate(block => block.BlockedId);
        options.Column<Block>(nameof(Block.BlockedAt));
        options.Schema.For<Message>()
            .UniqueIndex(Marten.Schema.UniqueIndexType.DuplicatedField, message => message.ConversationId, message => message.Seq)
            // Only what was changed later is in it, so that a new message costs nothing here; see Changes.
            .Index(message => new { message.ConversationId, message.ChangedSeq }, index => index.Predicate = "changed_seq <> seq");
    }

    // Answers within 5 s even if the database hangs: at worst a request waits for a connection until those before it have
    // given up, and then for its own statement, which takes a moment more to break off. Statements are prepared; no attempt
    // at Kerberos on each connect. A command that changes the schema takes as long as it takes: an index on a large table
    // is no fault.
    internal static string Tune(string connectionString, bool forCommand = false)
    {
        var tuned = new NpgsqlConnectionStringBuilder(connectionString);
        if (forCommand)
        {
            tuned.CommandTimeout = 0;
            tuned.GssEncryptionMode = GssEncryptionMode.Disable;
            return tuned.ConnectionString;
        }

        // ShouldSerialize tells what was given; ContainsKey is true of every keyword that there is.
        if (!tuned.ShouldSerialize("Command Timeout"))
            tuned.CommandTimeout = 2;
        if (!tuned.ShouldSerialize("Timeout"))
            tuned.Timeout = 2;
        if (!tuned.ShouldSerialize("Cancellation Timeout"))
            tuned.CancellationTimeout = 500;
        if (!tuned.ShouldSerialize("Max Auto Prepare"))
            tuned.MaxAutoPrepare = 100;
        // Far more than a node has use for, and few enough for several nodes and a tool on PostgreSQL's default of 100.
        if (!tuned.ShouldSerialize("Maximum Pool Size"))
            tuned.MaxPoolSize = 30 - ConversationLog.MaxConnections;
        // Nothing of ours changes a session, and to wash one anyway costs more than a small batch.
        if (!tuned.ShouldSerialize("No Reset On Close"))
            tuned.NoResetOnClose = true;
        tuned.GssEncryptionMode = GssEncryptionMode.Disable;
        // No machine code for our statements: they are short, and compiling takes half a second once in each session.
        // PostgreSQL keeps time, too: of a node that was cut off or stands still, it ends the statement, and the
        // transaction whose locks all other nodes wait for. As options, because those outlive the pool's reset.
        var patience = tuned.CommandTimeout * 2;
        if (!tuned.ShouldSerialize("Options"))
            tuned.Options = string.Create(CultureInfo.InvariantCulture, $"-c statement_timeout={patience}s -c idle_in_transaction_session_timeout={patience}s -c jit=off");
        return tuned.ConnectionString;
    }
}
