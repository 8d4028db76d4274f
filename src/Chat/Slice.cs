using Carter;
using Chat.Backplane;
using Chat.Socket;
using Chat.Storage;
using Chat.Tokens;
using Marten;

namespace Chat;

/// <summary>One feature: a folder below <c>Features</c>, listed in <c>Slices.cs</c>.</summary>
public interface ISlice
{
    /// <summary>Registers what the feature has: its events, documents, REST module and observers.</summary>
    static abstract void Register(SliceBuilder slice);
}

/// <summary>What a slice may bring, each by one call.</summary>
/// <param name="services">The server's services, for what is not a part of its own here.</param>
/// <param name="modules">Gathers the REST modules.</param>
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

    /// <summary>An event from clients and its one handler.</summary>
    /// <param name="hasOwnRate">Whether the handler itself bounds how often the event may come; else <see cref="Limits.EventsPerSecond"/> does.</param>
    /// <param name="takesTurn">Whether it counts among what a node does for a user at a time (<see cref="Limits.UserConcurrency"/>): not if it asks nobody, or if the handler takes its turns itself.</param>
    public SliceBuilder HandleEvent<TEvent, THandler>(bool hasOwnRate = false, bool takesTurn = true)
        where TEvent : IEvent<TEvent>
        where THandler : class, IHandler<TEvent>
    {
        services.AddSingleton<THandler>();
        services.AddSingleton<SocketRoute>(provider => new SocketRoute<TEvent>(provider.GetRequiredService<THandler>()) { HasOwnRateLimit = hasOwnRate, IsLimited = takesTurn });
        return this;
    }

    /// <summary>An event from other nodes and its one handler.</summary>
    public SliceBuilder HandleNodeEvent<TEvent, THandler>()
        where TEvent : IEvent<TEvent>
        where THandler : class, INodeHandler<TEvent>
    {
        services.AddSingleton<NodeRoute>(provider => new NodeRoute<TEvent>(provider.GetRequiredService<THandler>()));
        return this;
    }

    /// <summary>Documents, streams and indexes of the slice's own.</summary>
    public SliceBuilder ConfigureMarten(Action<StoreOptions> documents)
    {
        services.AddSingleton(documents);
        return this;
    }

    /// <summary>A Carter module.</summary>
    public SliceBuilder MapModule<TModule>()
        where TModule : ICarterModule
    {
        modules.Add(typeof(TModule));
        return this;
    }

    /// <summary>Follows connections; see <see cref="IConnectionObserver"/>.</summary>
    public SliceBuilder ObserveConnections<TObserver>()
        where TObserver : class, IConnectionObserver
    {
        services.AddSingleton<IConnectionObserver>(provider => provider.GetRequiredService<TObserver>());
        return this;
    }

    /// <summary>Is told of everybody who signs in; see <see cref="IIdentityObserver"/>.</summary>
    public SliceBuilder ObserveIdentities<TObserver>()
        where TObserver : class, IIdentityObserver
    {
        services.AddSingleton<IIdentityObserver>(provider => provider.GetRequiredService<TObserver>());
        return this;
    }

    /// <summary>A service that runs as long as the host, and that others may ask for.</summary>
    public SliceBuilder AddHostedService<TService>()
        where TService : class, IHostedService
    {
        services.AddHostedSingleton<TService>();
        return this;
    }
}
