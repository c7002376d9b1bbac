namespace PureQLora.Kernels;

/// <summary>One row.</summary>
public readonly struct Rows1 : IRowCount
{
    /// <inheritdoc/>
    public static int Count => 1;
}
