namespace Chat.Slices;

/// <summary>One feature: a folder below <c>Features</c>, listed in <c>Slices.cs</c>.</summary>
public interface ISlice
{
    /// <summary>Registers what the feature has: its events, documents, REST module and observers.</summary>
    static abstract void Register(SliceBuilder slice);
}
