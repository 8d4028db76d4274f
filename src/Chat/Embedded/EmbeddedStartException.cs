namespace Chat.Embedded;

/// <summary>
/// An embedded server could not start for a reason that its user can do something about. <see cref="Exception.Message"/>
/// is written for that user: it says what failed and what helps, and the program prints it instead of a stack trace.
/// </summary>
/// <param name="message">What failed, and what helps.</param>
/// <param name="inner">What failed below, if anything.</param>
internal sealed class EmbeddedStartException(string message, Exception? inner = null) : Exception(message, inner);
