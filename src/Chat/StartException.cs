namespace Chat;

/// <summary>
/// The server cannot start, for a reason that the engineer who starts it can do something about. The message is all
/// they are shown; the process ends with exit code 1.
/// </summary>
/// <param name="message">What is wrong, and what to do.</param>
/// <param name="innerException">Where it was noticed.</param>
public sealed class StartException(string message, Exception? innerException = null) : Exception(message, innerException);
