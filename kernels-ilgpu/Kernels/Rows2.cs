namespace PureQLora.Kernels;

/// <summary>Up to two rows.</summary>
public readonly struct Rows2 : IRowCount
{
    /// <inheritdoc/>
    public static int Count => 2;
}
