namespace PureQLora.Kernels;

/// <summary>Up to eight rows.</summary>
public readonly struct Rows8 : IRowCount
{
    /// <inheritdoc/>
    public static int Count => 8;
}
