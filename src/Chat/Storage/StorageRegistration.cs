using System.Diagnostics;
using JasperFx;
using Marten;
using Npgsql;
using Weasel.Core;

namespace Chat.Storage;

/// <summary>Sets up Marten and the documents that the message path lives on; the slices add their own.</summary>
internal static class StorageRegistration
{
    public static IServiceCollection AddStorage(this IServiceCollection services, IConfiguration configuration, bool isDevelopment, bool isCommand)
    {
        var connectionString = Tune(configuration.GetConnectionString("Postgres")!, isCommand);
        services.AddSingleton(provider =>
            new NpgsqlDataSourceBuilder(connectionString)
                .UseLoggerFactory(provider.GetRequiredService<ILoggerFactory>())
                // What the loops ask every other second belongs to nobody's trace.
                .ConfigureTracing(tracing => tracing.ConfigureCommandFilter(_ => Activity.Current is not null).ConfigureBatchFilter(_ => Activity.Current is not null))
                .Build());
        var marten = services.AddMarten(provider =>
        {
            var options = new StoreOptions();
            options.DatabaseSchemaName = configuration["Storage:Schema"] ?? "chat";
            options.AutoCreateSchemaObjects = isDevelopment ? AutoCreate.CreateOrUpdate : AutoCreate.None;
            options.UseSystemTextJsonForSerialization(ChatJson.ForDocuments(), EnumStorage.AsString, Casing.CamelCase);
            options.Policies.DisableInformationalFields();
            // Whoever waits for an answer decides about a second try; see ConversationLog.
            options.ConfigurePolly(_ => { });
            options.Logger(new StatementLog());
            options.ConfigureWritePolly(_ => { });
            MessageDocuments(options);
            foreach (var documents in provider.GetServices<Action<StoreOptions>>())
                documents(options);
            return options;
        }).UseLightweightSessions().UseNpgsqlDataSource();
        if (isDevelopment)
            marten.ApplyAllDatabaseChangesOnStartup();

        services.AddSingleton(new Tables(configuration["Storage:Schema"] ?? "chat"));
        services.AddSingleton<DatabaseStart>();
        services.AddHostedSingleton<Lineage>();
        services.AddHostedSingleton<ConversationLog>();
        return services;
    }

    /// <summary>Registers a service that others ask for and the host starts and stops.</summary>
    public static IServiceCollection AddHostedSingleton<TService>(this IServiceCollection services)
        where TService : class, IHostedService =>
        services.AddSingleton<TService>().AddHostedService(provider => provider.GetRequiredService<TService>());

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
            .Index(message => new { message.ConversationId, message.ChangedSeq });
    }

    // Answers within 5 s even if the database hangs: at worst a request waits for a connection until those before it have
    // given up, and then for its own statement, which takes a moment more to break off. A command that changes the schema
    // takes the time that it takes. Statements are prepared; no attempt at Kerberos on each connect.
    internal static string Tune(string connectionString, bool isCommand = false)
    {
        var tuned = new NpgsqlConnectionStringBuilder(connectionString);
        // ShouldSerialize tells what was given; ContainsKey is true of every keyword that there is.
        if (!tuned.ShouldSerialize("Command Timeout"))
            tuned.CommandTimeout = isCommand ? 0 : 2;
        if (!tuned.ShouldSerialize("Timeout"))
            tuned.Timeout = 2;
        if (!tuned.ShouldSerialize("Cancellation Timeout"))
            tuned.CancellationTimeout = 500;
        if (!tuned.ShouldSerialize("Max Auto Prepare"))
            tuned.MaxAutoPrepare = 100;
        tuned.GssEncryptionMode = GssEncryptionMode.Disable;
        return tuned.ConnectionString;
    }
}
