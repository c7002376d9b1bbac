namespace PureQLora.Kernels;

/// <summary>How many rows of x a product of few rows is compiled for.</summary>
public interface IRowCount
{
    /// <summary>Rows, at most 8.</summary>
    static abstract int Count { get; }
}
