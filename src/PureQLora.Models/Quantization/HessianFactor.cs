using System.Globalization;
using System.Numerics.Tensors;
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
    private const int BlockSize = 128;
    private const int ChunkRows = 64;
    private const double LargestDamping = 100;

    private HessianFactor(double[] hessian, int columns, bool[] dead, int[]? order)
    {
        Hessian = hessian;
        Columns = columns;
        Dead = dead;
        Order = order;
    }

    /// <summary>Input features.</summary>
    public int Columns { get; }

    /// <summary>The damping that was used, as a share of the mean diagonal.</summary>
    public double Damping { get; private set; }

    /// <summary>One sentence where the wanted damping did not suffice, else null.</summary>
    public string? Warning { get; private set; }

    /// <summary>Whether some damping made the Hessian positive definite. Where not, layers can only be rounded to nearest.</summary>
    public bool IsPositiveDefinite => Upper.Length > 0;

    /// <summary>The undamped Hessian. [columns, columns]</summary>
    internal double[] Hessian { get; }

    /// <summary>Columns that no calibration input excites. [columns]</summary>
    internal bool[] Dead { get; }

    /// <summary>The column taken at each place, or null for left to right. [columns]</summary>
    internal int[]? Order { get; }

    /// <summary>λ, what was added to the diagonal.</summary>
    internal double Ridge { get; private set; }

    /// <summary>U in the order of <see cref="Order"/>, row-major; empty where not positive definite. [columns, columns]</summary>
    internal double[] Upper { get; private set; } = [];

    /// <summary>Factors a Hessian, raising the damping tenfold until it is positive definite.</summary>
    /// <param name="hessian">Symmetric, row-major; kept, not changed. [columns, columns]</param>
    /// <param name="columns">Input features.</param>
    /// <param name="options">Damping and act-order.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <exception cref="UserErrorException">The Hessian holds NaN or infinity, or an option is out of range.</exception>
    public static HessianFactor Create(double[] hessian, int columns, GptqOptions options, string layer)
    {
        options.Validate();
        ArgumentOutOfRangeException.ThrowIfNotEqual(hessian.LongLength, (long)columns * columns);
        foreach (double value in hessian)
        {
            if (!double.IsFinite(value))
            {
                throw new UserErrorException(
                    $"The Hessian of {layer} holds {value.ToString(CultureInfo.InvariantCulture)}, allowed are finite values; the calibration data or the model's weights are damaged.");
            }
        }

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
        var factor = new HessianFactor(hessian, columns, dead, order);
        factor.Factorise(diagonal, options.Damping, layer);
        return factor;
    }

    private void Factorise(double[] diagonal, double wantedDamping, string layer)
    {
        double mean = diagonal.Average();
        double[] lower = GC.AllocateUninitializedArray<double>(Columns * Columns);
        for (double damping = wantedDamping; damping <= LargestDamping; damping = damping == 0 ? 1e-4 : damping * 10)
        {
            Damping = damping;
            Ridge = damping * mean;
            WriteReversedDamped(diagonal, lower);
            if (TryCholesky(lower))
            {
                Upper = Invert(lower);
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

    /// <summary>J(H + λI)J in the chosen order of columns. [columns, columns]</summary>
    private void WriteReversedDamped(double[] diagonal, double[] result)
    {
        int n = Columns;
        Parallel.For(0, n, row =>
        {
            int sourceRow = ColumnAt(n - 1 - row);
            for (int column = 0; column < n; column++)
            {
                result[(row * n) + column] = Hessian[(sourceRow * n) + ColumnAt(n - 1 - column)];
            }

            result[(row * n) + row] = diagonal[sourceRow] + Ridge;
        });
    }

    private int ColumnAt(int place) => Order is null ? place : Order[place];

    private bool TryCholesky(double[] matrix)
    {
        try
        {
            ILinearAlgebraProvider<double> provider = SimdLinearAlgebraProvider.Instance;
            provider.CholeskyFactor(matrix, Columns);
            return true;
        }
        catch (ArgumentException)
        {
            // MathNet's contract for "not positive definite".
            return false;
        }
    }

    /// <summary>U = J L⁻¹ J. L in column-major order is T = Lᵀ in row-major order, so U is T⁻¹ mirrored at the anti-diagonal.</summary>
    private double[] Invert(double[] lower)
    {
        double[] upper = new double[Columns * Columns];
        Parallel.For(0, ((Columns - 1) / ChunkRows) + 1, chunk => InvertRows(lower, upper, chunk * ChunkRows));
        return upper;
    }

    /// <summary>Rows [first, first + 64) of S = T⁻¹ from S·T = I, left to right, with lazy updates after each block of columns.</summary>
    private void InvertRows(double[] lower, double[] upper, int first)
    {
        int n = Columns;
        int width = n - first; // everything left of the chunk is zero
        int rows = Math.Min(ChunkRows, width);
        double[] work = new double[rows * width];
        fixed (double* t = lower, s = work)
        {
            for (int row = 0; row < rows; row++)
            {
                s[(row * width) + row] = 1;
            }

            for (int start = 0; start < width; start += BlockSize)
            {
                int depth = Math.Min(BlockSize, width - start);
                double* block = t + ((long)(first + start) * n) + first + start;
                for (int row = 0; row < rows; row++)
                {
                    SolveBlock(s + (row * width) + start, block, n, depth);
                }

                BlockUpdate.Subtract(s + start + depth, width, s + start, width, block + depth, n, rows, depth, width - start - depth);
            }
        }

        for (int column = 0; column < width; column++)
        {
            int target = (n - 1 - first - column) * n;
            for (int row = 0; row < rows; row++)
            {
                upper[target + n - 1 - first - row] = work[(row * width) + column];
            }
        }
    }

    private static void SolveBlock(double* row, double* block, int stride, int depth)
    {
        for (int k = 0; k < depth; k++, block += stride)
        {
            double value = row[k] / block[k];
            row[k] = value;
            if (value != 0)
            {
                var rest = new Span<double>(row + k + 1, depth - k - 1);
                TensorPrimitives.FusedMultiplyAdd(new ReadOnlySpan<double>(block + k + 1, rest.Length), -value, rest, rest);
            }
        }
    }
}
