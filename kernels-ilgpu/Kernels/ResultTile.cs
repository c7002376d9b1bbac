using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Where a tile of a result goes: a row-major float32 matrix whose columns may be in another order.</summary>
/// <param name="Values">[rows, columns]</param>
/// <param name="Rows">Rows.</param>
/// <param name="Columns">Columns.</param>
/// <param name="Alpha">Factor of the product.</param>
/// <param name="Accumulate">Not 0: add to what is there.</param>
/// <param name="ColumnMap">Column of the matrix for each column of the product, −1 for none; a stand-in unless <paramref name="IsMapped"/>.</param>
/// <param name="IsMapped">Not 0: the map counts.</param>
public readonly record struct ResultTile(ArrayView<float> Values, int Rows, int Columns, float Alpha, int Accumulate, ArrayView<int> ColumnMap, int IsMapped)
{
    /// <summary>Stores the thread's share of the tile that starts at a row and a column of the product.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(Accumulators sums, int row, int column)
    {
        row += GemmTile.FirstRow();
        column += GemmTile.FirstColumn();
        Store(sums.Rows0, row, column);
        Store(sums.Rows1, row + 16, column);
        Store(sums.Rows2, row + 32, column);
        Store(sums.Rows3, row + 48, column);
    }

    /// <summary>Stores four elements of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store(Float4 sums, int row, int column)
    {
        Store(sums.X, row, column);
        Store(sums.Y, row, column + 1);
        Store(sums.Z, row, column + 2);
        Store(sums.W, row, column + 3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(RowAccumulators sums, int row, int column)
    {
        StorePairs(sums.Columns0, row, column);
        StorePairs(sums.Columns1, row, column + 8);
        StorePairs(sums.Columns2, row, column + 16);
        StorePairs(sums.Columns3, row, column + 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void StorePairs(Float4 sums, int row, int column)
    {
        Store(sums.X, row, column);
        Store(sums.Y, row, column + 1);
        Store(sums.Z, row + 8, column);
        Store(sums.W, row + 8, column + 1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(float sum, int row, int column)
    {
        int target = column;
        if (IsMapped != 0)
        {
            target = column < ColumnMap.IntLength ? ColumnMap[column] : -1;
        }

        if (row < Rows && target >= 0 && target < Columns)
        {
            ArrayView<float> values = Values;
            int at = (row * Columns) + target;
            values[at] = Accumulate != 0 ? values[at] + (Alpha * sum) : Alpha * sum;
        }
    }
}
