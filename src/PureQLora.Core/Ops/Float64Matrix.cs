namespace PureQLora.Core;

/// <summary>A row-major matrix of float64 numbers, or part of one, in the memory of a backend. It owns nothing.</summary>
/// <param name="Storage">The memory.</param>
/// <param name="Start">First element, counted from the beginning of the memory.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Columns">Columns.</param>
/// <param name="Stride">Elements from one row to the next, at least <paramref name="Columns"/>.</param>
public readonly record struct Float64Matrix(Storage Storage, long Start, int Rows, int Columns, int Stride)
{
    /// <summary>All of a block, row after row.</summary>
    public Float64Matrix(Storage storage, int rows, int columns)
        : this(storage, 0, rows, columns, columns)
    {
    }

    /// <summary>Rows and columns from some on.</summary>
    /// <param name="row">First row.</param>
    /// <param name="rows">How many.</param>
    /// <param name="column">First column.</param>
    /// <param name="columns">How many.</param>
    /// <exception cref="ArgumentOutOfRangeException">They leave the matrix.</exception>
    public Float64Matrix Part(int row, int rows, int column, int columns)
    {
        if (row < 0 || rows < 0 || row > Rows - rows || column < 0 || columns < 0 || column > Columns - columns)
        {
            throw new ArgumentOutOfRangeException(
                nameof(row), row, $"{rows} rows from {row} and {columns} columns from {column} leave a matrix of [{Rows}, {Columns}].");
        }

        return this with { Start = Start + ((long)row * Stride) + column, Rows = rows, Columns = columns };
    }
}
