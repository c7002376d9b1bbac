namespace PureQLora.Kernels;

/// <summary>The gradient of the values.</summary>
public readonly struct ValueSide : IKeySide
{
    /// <inheritdoc/>
    public static bool IsKeys => false;
}
