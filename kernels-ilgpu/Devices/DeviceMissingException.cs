namespace PureQLora.Kernels;

/// <summary>A device cannot be had here.</summary>
/// <param name="reason">Why, without a full stop, such as <c>no NVIDIA driver was found</c>.</param>
/// <param name="remedy">What to do about it, such as <c>install the driver</c>.</param>
/// <param name="innerException">The driver's word for it, or null.</param>
public sealed class DeviceMissingException(string reason, string remedy, Exception? innerException = null)
    : NotSupportedException($"--device cuda finds no GPU: {reason}; {remedy}, or use --device cpu.", innerException)
{
    /// <summary>Why.</summary>
    public string Reason { get; } = reason;
}
