using System.Globalization;
using MathNet.Numerics.Providers.LinearAlgebra;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// A Hessian made ready for GPTQ: the order of its columns, its dead columns, and U, upper triangular with UᵀU = (H + λI)⁻¹. Layers that
/// share their inputs (q, k and v; gate and up) share it.
/// </summary>
/// <remarks>
/// Frantar et al., arXiv:2210.17323, section 3.3. With J the reversal of rows and J(H + λI)J = LLᵀ, U = J L⁻¹ J: one Cholesky
/// factorisation and one triangular inverse instead of two factorisations and an inverse.
/// </remarks>
public sealed unsafe class HessianFactor
{
    private const int ChunkRows = 96;

    /// <summary>Columns of a triangle that are eliminated one by one; larger ones are halved.</summary>
    private const int Leaf = 8;

    private const double LargestDamping = 100;

    private readonly CpuBackend _backend;

    private HessianFactor(int columns, double[] diagonal, bool[] dead, int[]? order, CpuBackend backend)
    {
        Columns = columns;
        Diagonal = diagonal;
        Dead = dead;
        Order = order;
        _backend = backend;
    }

    /// <summary>Input features.</summary>
    public int Columns { get; }

    /// <summary>The damping that was used, as a share of the mean diagonal.</summary>
    public double Damping { get; private set; }

    /// <summary>One sentence where the wanted damping did not suffice, else null.</summary>
    public string? Warning { get; private set; }

    /// <summary>Whether some damping made the Hessian positive definite. Where not, layers can only be rounded to nearest.</summary>
    public bool IsPositiveDefinite => Upper.Length > 0;

    /// <summary>Columns that no calibration input excites. [columns]</summary>
    internal bool[] Dead { get; }

    /// <summary>The Hessian's diagonal, without damping, 1 where a column is dead. [columns]</summary>
    internal double[] Diagonal { get; }

    /// <summary>The column taken at each place, or null for left to right. [columns]</summary>
    internal int[]? Order { get; }

    /// <summary>λ, what was added to the diagonal.</summary>
    internal double Ridge { get; private set; }

    /// <summary>U in the order of <see cref="Order"/>, row-major; empty where not positive definite. [columns, columns]</summary>
    internal double[] Upper { get; private set; } = [];

    /// <summary>Factors a Hessian, raising the damping tenfold until it is positive definite.</summary>
    /// <param name="hessian">Symmetric, row-major; not changed, and not needed afterwards. [columns, columns]</param>
    /// <param name="columns">Input features.</param>
    /// <param name="options">Damping and act-order.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <param name="backend">Gives threads and vectors; null for the caller's thread.</param>
    /// <param name="memory">[columns, columns] to make the factor in; null for new memory.</param>
    /// <exception cref="UserErrorException">The Hessian holds NaN or infinity, or an option is out of range.</exception>
    public static HessianFactor Create(double[] hessian, int columns, GptqOptions options, string layer, CpuBackend? backend = null, double[]? memory = null)
    {
        options.Validate();
        ArgumentOutOfRangeException.ThrowIfNotEqual(hessian.LongLength, (long)columns * columns);
        backend ??= SingleThread.Backend;
        backend.For(columns, ChunkRows, (start, end) => RequireFinite(hessian.AsSpan((int)start * columns, (int)(end - start) * columns), layer));

        var diagonal = new double[columns];
        var dead = new bool[columns];
        for (int column = 0; column < columns; column++)
        {
            double value = hessian[(column * columns) + column];
            dead[column] = value == 0;
            diagonal[column] = dead[column] ? 1 : value;
        }

        // OrderByDescending is stable, so equal diagonals keep their order from left to right.
        int[]? order = options.ActOrder ? [.. Enumerable.Range(0, columns).OrderByDescending(column => diagonal[column])] : null;
        var factor = new HessianFactor(columns, diagonal, dead, order, backend);
        factor.Factorise(hessian, diagonal, options.Damping, layer, memory ?? LargePages.AllocateArray<double>(hessian.Length));
        return factor;
    }

    private static void RequireFinite(ReadOnlySpan<double> values, string layer)
    {
        foreach (double value in values)
        {
            if (!double.IsFinite(value))
            {
                throw new UserErrorException(
                    $"The Hessian of {layer} holds {value.ToString(CultureInfo.InvariantCulture)}, allowed are finite values; the calibration data or the model's weights are damaged.");
            }
        }
    }

    private void Factorise(double[] hessian, double[] diagonal, double wantedDamping, string layer, double[] work)
    {
        double mean = diagonal.Average();
        for (double damping = wantedDamping; damping <= LargestDamping; damping = damping == 0 ? 1e-4 : damping * 10)
        {
            Damping = damping;
            Ridge = damping * mean;
            WriteReversedDamped(hessian, diagonal, work);
            if (TryCholesky(work))
            {
                Invert(work);
                Upper = work;
                break;
            }
        }

        if (!IsPositiveDefinite)
        {
            Warning = string.Create(
                CultureInfo.InvariantCulture,
                $"The Hessian of {layer} is not positive definite even with damping {Damping:g3} (asked for {wantedDamping:g3}): its weights are rounded to nearest.");
        }
        else if (Damping != wantedDamping)
        {
            Warning = string.Create(
                CultureInfo.InvariantCulture,
                $"The Hessian of {layer} is not positive definite with damping {wantedDamping:g3}: used {Damping:g3}; more calibration text makes it better.");
        }
    }

    /// <summary>The upper triangle of J(H + λI)J in the chosen order of columns. [columns, columns]</summary>
    private void WriteReversedDamped(double[] hessian, double[] diagonal, double[] result)
    {
        int n = Columns;
        _backend.For(n, ChunkRows, (start, end) =>
        {
            for (int row = (int)start; row < end; row++)
            {
                int sourceRow = ColumnAt(n - 1 - row);
                Span<double> target = result.AsSpan(row * n, n);
                ReadOnlySpan<double> source = hessian.AsSpan(sourceRow * n, n);
                if (Order is null)
                {
                    source[..(n - row)].CopyTo(target[row..]);
                    target[row..].Reverse();
                }

                for (int column = row; Order is not null && column < n; column++)
                {
                    target[column] = source[Order[n - 1 - column]];
                }

                target[row] = diagonal[sourceRow] + Ridge;
            }
        });
    }

    private int ColumnAt(int place) => Order is null ? place : Order[place];

    private bool TryCholesky(double[] matrix)
    {
        try
        {
            ILinearAlgebraProvider<double> provider = SimdLinearAlgebraProvider.On(_backend);
            provider.CholeskyFactor(matrix, Columns);
            return true;
        }
        catch (ArgumentException)
        {
            // MathNet's contract for "not positive definite".
            return false;
        }
    }

    /// <summary>
    /// Turns L into U = J L⁻¹ J in place. L in column-major order is T = Lᵀ in row-major order, so L⁻¹ in row-major order is (T⁻¹)ᵀ and
    /// fits below the diagonal; reversing all elements then is J from both sides.
    /// </summary>
    private void Invert(double[] matrix)
    {
        int n = Columns;
        fixed (double* pinned = matrix)
        {
            DoubleMatrix t = new(pinned, n);
            _backend.For(n, ChunkRows, (start, end) => InvertRows(_backend.VectorBits, t, n, (int)start, (int)(end - start)));
        }

        for (int i = 0; i < n; i++)
        {
            matrix[(i * n) + i] = 1 / matrix[(i * n) + i];
        }

        _backend.For((n + 1) / 2, ChunkRows, (start, end) =>
        {
            for (int row = (int)start; row < end; row++)
            {
                ReverseRows(matrix, n, row);
            }
        });
    }

    /// <summary>Swaps a row with its mirror image from the end, each backwards, and clears what is left of the diagonal.</summary>
    private static void ReverseRows(double[] matrix, int n, int row)
    {
        int mirror = n - 1 - row;
        Span<double> upper = matrix.AsSpan(row * n, n);
        Span<double> lower = matrix.AsSpan(mirror * n, n);
        upper.Reverse();
        if (mirror != row)
        {
            lower.Reverse();
            for (int column = 0; column < n; column++)
            {
                (upper[column], lower[column]) = (lower[column], upper[column]);
            }
        }

        upper[..row].Clear();
        lower[..mirror].Clear();
    }

    /// <summary>Some rows of S = T⁻¹ from S·T = I, left to right, written as columns below the diagonal of T.</summary>
    private static void InvertRows(int vectorBits, DoubleMatrix t, int n, int first, int rows)
    {
        int width = n - first; // everything left of the chunk is zero
        using Borrowed work = Borrowed.Rent(rows * width);
        work.Array.AsSpan(0, rows * width).Clear();
        fixed (double* pinned = work.Array)
        {
            DoubleMatrix s = new(pinned, width);
            for (int row = 0; row < rows; row++)
            {
                *s.At(row, row) = 1;
            }

            Solve(vectorBits, s, t.From(first, first), rows, width);
            WriteBelowDiagonal(s, t.From(first, first), rows, width);
        }
    }

    /// <summary>Sᵀ without its diagonal, by squares, so that the lines read are used whole while they are in the cache.</summary>
    private static void WriteBelowDiagonal(DoubleMatrix s, DoubleMatrix target, int rows, int width)
    {
        for (int firstRow = 0; firstRow < rows; firstRow += Leaf)
        {
            int lastRow = Math.Min(firstRow + Leaf, rows);
            for (int column = firstRow + 1; column < width; column++)
            {
                double* below = target.At(column, 0);
                for (int row = firstRow; row < Math.Min(lastRow, column); row++)
                {
                    below[row] = *s.At(row, column);
                }
            }
        }
    }

    /// <summary>S ← S · T⁻¹, by halves: the right one takes what the left one has become, and follows.</summary>
    private static void Solve(int vectorBits, DoubleMatrix s, DoubleMatrix t, int rows, int depth)
    {
        if (depth > Leaf)
        {
            int half = ((depth / 2) + Leaf - 1) / Leaf * Leaf;
            Solve(vectorBits, s, t, rows, half);
            BlockUpdate.Subtract(vectorBits, s.From(0, half), s, t.From(0, half), rows, half, depth - half);
            Solve(vectorBits, s.From(0, half), t.From(half, half), rows, depth - half);
            return;
        }

        for (int row = 0; row < rows; row++)
        {
            double* values = s.At(row, 0);
            for (int k = 0; k < depth; k++)
            {
                double* source = t.At(k, 0);
                double value = values[k] / source[k];
                values[k] = value;
                for (int column = k + 1; column < depth; column++)
                {
                    values[column] = Math.FusedMultiplyAdd(-value, source[column], values[column]);
                }
            }
        }
    }
}
