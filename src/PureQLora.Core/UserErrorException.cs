namespace PureQLora.Core;

/// <summary>
/// A mistake that the user can mend: a bad file, option, recipe or data set. The message is one sentence that says what happened,
/// the actual and the allowed value, and what to do next. Tools print it without a stack trace and end with exit code 2.
/// </summary>
public sealed class UserErrorException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">What happened, actual and allowed value, what to do next.</param>
    public UserErrorException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the error from the exception that revealed it.</summary>
    /// <param name="message">What happened, actual and allowed value, what to do next.</param>
    /// <param name="innerException">The cause, for logs.</param>
    public UserErrorException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
