namespace Chat.Slices;

/// <summary>One feature: a folder below <c>Features</c>, listed in <c>Slices.cs</c>.</summary>
public interface ISlice
{
    /// <summary>Registers the feature's events, documents, REST module and observers.</summary>
    static abstract void Register(SliceBuilder slice);
}
