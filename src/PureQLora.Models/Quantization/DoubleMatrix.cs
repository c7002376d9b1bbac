namespace PureQLora.Models;

/// <summary>Where the elements of a float64 matrix lie: element (i, j) at i · <paramref name="RowStride"/> + j · <paramref name="ColumnStride"/>.</summary>
internal readonly unsafe record struct DoubleMatrix(nint Address, int RowStride, int ColumnStride)
{
    public DoubleMatrix(double* first, int rowStride, int columnStride = 1)
        : this((nint)first, rowStride, columnStride)
    {
    }

    /// <summary>Element (0, 0).</summary>
    public double* First => (double*)Address;

    /// <summary>The part from (row, column) on.</summary>
    public DoubleMatrix From(int row, int column) => this with { Address = (nint)At(row, column) };

    public double* At(int row, int column) => First + ((long)row * RowStride) + ((long)column * ColumnStride);
}
