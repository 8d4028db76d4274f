using Carter;
using Chat.Backplane;
using Chat.Hosting;
using Chat.RateLimiting;
using Chat.Socket;
using Chat.Storage;
using Chat.Tokens;
using Marten;

namespace Chat.Slices;

/// <summary>Registers the parts of a slice, each by one call.</summary>
/// <param name="services">The server's services, for parts without a method here.</param>
/// <param name="modules">Collects the REST modules.</param>
public sealed class SliceBuilder(IServiceCollection services, ICollection<Type> modules)
{
    /// <summary>The server's services.</summary>
    public IServiceCollection Services => services;

    /// <summary>Registers a slice.</summary>
    public SliceBuilder AddSlice<TSlice>()
        where TSlice : ISlice
    {
        TSlice.Register(this);
        return this;
    }

    /// <summary>Registers a client event and its handler.</summary>
    /// <param name="hasOwnRate">Whether the handler limits the event's rate itself; else <see cref="Limits.EventsPerSecond"/>
    /// applies.</param>
    /// <param name="takesTurn">
    /// Whether it counts as concurrent work of its user (<see cref="Limits.UserConcurrency"/>). False if it queries nothing, or
    /// the handler takes its permits itself.
    /// </param>
    public SliceBuilder HandleEvent<TEvent, THandler>(bool hasOwnRate = false, bool takesTurn = true)
        where TEvent : IEvent<TEvent>
        where THandler : class, IHandler<TEvent>
    {
        services.AddSingleton<THandler>();
        services.AddSingleton<SocketRoute>(provider =>
            new SocketRoute<TEvent>(provider.GetRequiredService<THandler>()) { HasOwnRateLimit = hasOwnRate, IsLimited = takesTurn });
        return this;
    }

    /// <summary>Registers an event of other nodes and its handler.</summary>
    public SliceBuilder HandleNodeEvent<TEvent, THandler>()
        where TEvent : IEvent<TEvent>
        where THandler : class, INodeHandler<TEvent>
    {
        services.AddSingleton<NodeRoute>(provider => new NodeRoute<TEvent>(provider.GetRequiredService<THandler>()));
        return this;
    }

    /// <summary>Registers documents, streams and indexes.</summary>
    public SliceBuilder ConfigureMarten(Action<StoreOptions> documents)
    {
        services.AddSingleton(documents);
        return this;
    }

    /// <summary>Registers a Carter module.</summary>
    public SliceBuilder MapModule<TModule>()
        where TModule : ICarterModule
    {
        modules.Add(typeof(TModule));
        return this;
    }

    /// <summary>Registers an observer of connections; see <see cref="IConnectionObserver"/>.</summary>
    public SliceBuilder ObserveConnections<TObserver>()
        where TObserver : class, IConnectionObserver
    {
        services.AddSingleton<IConnectionObserver>(provider => provider.GetRequiredService<TObserver>());
        return this;
    }

    /// <summary>Registers an observer of sign-ins; see <see cref="IIdentityObserver"/>.</summary>
    public SliceBuilder ObserveIdentities<TObserver>()
        where TObserver : class, IIdentityObserver
    {
        services.AddSingleton<IIdentityObserver>(provider => provider.GetRequiredService<TObserver>());
        return this;
    }

    /// <summary>Registers an observer of the journal; see <see cref="IJournalObserver"/>.</summary>
    internal SliceBuilder ObserveJournal<TObserver>()
        where TObserver : class, IJournalObserver
    {
        services.AddSingleton<IJournalObserver>(provider => provider.GetRequiredService<TObserver>());
        return this;
    }

    /// <summary>Registers a hosted service that can also be injected.</summary>
    public SliceBuilder AddHostedService<TService>()
        where TService : class, IHostedService
    {
        services.AddHostedSingleton<TService>();
        return this;
    }
}
