namespace PureQLora.Kernels;

/// <summary>The gradient of the keys.</summary>
public readonly struct KeySide : IKeySide
{
    /// <inheritdoc/>
    public static bool IsKeys => true;
}
