namespace PureQLora.Core;

/// <summary>A device has no memory left, or does not answer any more. What it held is lost; what was saved before is not.</summary>
/// <param name="message">One sentence: what happened, and what to do.</param>
/// <param name="innerException">The driver's word for it, or null.</param>
public sealed class DeviceFailedException(string message, Exception? innerException = null) : Exception(message, innerException);
