using System.Diagnostics.CodeAnalysis;

namespace Chat.Socket;

/// <summary>The outcome of a request: a value, or the error that answers it.</summary>
/// <typeparam name="T">The value's type.</typeparam>
internal readonly struct Result<T>
{
    private Result(T? value, ChatError? error) => (Value, Error) = (value, error);

    /// <summary>The value; the default if the request failed.</summary>
    public T? Value { get; }

    /// <summary>Why the request failed; null if it succeeded.</summary>
    public ChatError? Error { get; }

    public static implicit operator Result<T>(T value) => new(value, null);

    public static implicit operator Result<T>(ChatError error) => new(default, error);

    /// <summary>Returns whether the request succeeded, with its value, or else its error.</summary>
    public bool Succeeded([MaybeNullWhen(false)] out T value, [NotNullWhen(false)] out ChatError? error)
    {
        (value, error) = (Value, Error);
        return error is null;
    }
}
