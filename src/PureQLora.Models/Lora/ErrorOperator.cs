using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// G = E·H·Eᵀ as an operator, float64: its eigenvectors are the left singular vectors of E·H^½, its eigenvalues the squares of the singular
/// values, so no root of H is needed and H may be singular.
/// </summary>
internal sealed unsafe class ErrorOperator
{
    /// <summary>Columns or rows of one work item; results do not depend on it.</summary>
    private const int Chunk = 192;

    private readonly double[] _error;    // [rows, columns]
    private readonly double[]? _metric;  // [columns, columns]
    private readonly CpuBackend _backend;

    /// <param name="error">E, row-major. [rows, columns]</param>
    /// <param name="rows">Output features.</param>
    /// <param name="metric">H, symmetric and positive semidefinite; null for the identity. [columns, columns]</param>
    /// <param name="backend">Computes.</param>
    public ErrorOperator(ReadOnlySpan<float> error, int rows, double[]? metric, CpuBackend backend)
    {
        (Rows, Columns, _metric, _backend) = (rows, error.Length / rows, metric, backend);
        _error = LargePages.AllocateArray<double>(error.Length);
        for (int i = 0; i < error.Length; i++)
        {
            _error[i] = error[i];
        }
    }

    /// <summary>Output features.</summary>
    public int Rows { get; }

    /// <summary>Input features.</summary>
    public int Columns { get; }

    /// <summary>qᵢ·E for some row vectors.</summary>
    /// <param name="vectors">[count, rows]</param>
    /// <returns>[count, columns]</returns>
    public double[] Project(double[] vectors) => Negated(NegativeProduct(vectors, Rows, _error, Columns));

    /// <summary>qᵢ·G for some row vectors.</summary>
    /// <param name="vectors">[count, rows]</param>
    /// <returns>[count, rows]</returns>
    public double[] Apply(double[] vectors)
    {
        int count = vectors.Length / Rows;
        double[] projected = NegativeProduct(vectors, Rows, _error, Columns);                                // −Q·E
        double[] weighted = _metric is null ? Negated(projected) : NegativeProduct(projected, Columns, _metric, Columns); // Q·E·H
        double[] right = new double[weighted.Length];                                                        // [columns, count]
        for (int i = 0; i < count; i++)
        {
            for (int column = 0; column < Columns; column++)
            {
                right[(column * count) + i] = weighted[(i * Columns) + column];
            }
        }

        double[] product = new double[Rows * count];                                                         // [rows, count], −E·(Q·E·H)ᵀ
        fixed (double* e = _error, r = right, p = product)
        {
            (DoubleMatrix a, DoubleMatrix b, DoubleMatrix c) = (new(e, Columns), new(r, count), new(p, count));
            _backend.For(Rows, Chunk, (start, end) => BlockUpdate.Subtract(
                _backend.VectorBits, c.From((int)start, 0), a.From((int)start, 0), b, (int)(end - start), Columns, count));
        }

        double[] result = new double[product.Length];
        for (int i = 0; i < count; i++)
        {
            for (int row = 0; row < Rows; row++)
            {
                result[(i * Rows) + row] = -product[(row * count) + i];
            }
        }

        return result;
    }

    /// <summary>−A·B. [count, columns]</summary>
    private double[] NegativeProduct(double[] left, int depth, double[] right, int columns)
    {
        int count = left.Length / depth;
        double[] product = new double[count * columns];
        fixed (double* l = left, r = right, p = product)
        {
            (DoubleMatrix a, DoubleMatrix b, DoubleMatrix c) = (new(l, depth), new(r, columns), new(p, columns));
            _backend.For(columns, Chunk, (start, end) => BlockUpdate.Subtract(
                _backend.VectorBits, c.From(0, (int)start), a, b.From(0, (int)start), count, depth, (int)(end - start)));
        }

        return product;
    }

    private static double[] Negated(double[] values) => Array.ConvertAll(values, value => -value);
}
