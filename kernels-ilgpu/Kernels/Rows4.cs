namespace PureQLora.Kernels;

/// <summary>Up to four rows.</summary>
public readonly struct Rows4 : IRowCount
{
    /// <inheritdoc/>
    public static int Count => 4;
}
