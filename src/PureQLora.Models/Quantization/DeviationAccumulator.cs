using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Sums what a target needs besides the Hessian: the products D = (X̃ − X)ᵀX of a layer's inputs in the unquantised model, X̃, and in the
/// model as quantised so far, X; and, where the layer's output is added to the residual stream, P = (R̃ − R)ᵀX of the streams that it meets.
/// </summary>
/// <remarks>
/// The differences are small beside X, so they may be multiplied in bfloat16: its rounding is relative to the difference. Sums are float32.
/// </remarks>
internal sealed class DeviationAccumulator
{
    private readonly CpuBackend _backend;
    private readonly Tensor _sum;       // [columns, columns]
    private readonly Tensor? _residual; // [rows, columns]

    /// <summary>Starts an empty sum.</summary>
    /// <param name="columns">Input features of the layer.</param>
    /// <param name="residualRows">Output features where they are added to the residual stream, else 0.</param>
    /// <param name="backend">Computes.</param>
    public DeviationAccumulator(int columns, int residualRows, CpuBackend backend)
    {
        (Columns, _backend) = (columns, backend);
        _sum = Tensor.Create(new Shape(columns, columns));
        _residual = residualRows > 0 ? Tensor.Create(new Shape(residualRows, columns)) : null;
        Restart();
    }

    /// <summary>Input features of the layer.</summary>
    public int Columns { get; }

    /// <summary>Rows added so far, n.</summary>
    public long RowCount { get; private set; }

    /// <summary>D. [columns, columns]</summary>
    public Tensor Matrix => _sum;

    /// <summary>P, or null. [rows, columns]</summary>
    public Tensor? Residual => _residual;

    /// <summary>D, row-major. [columns, columns]</summary>
    public Span<float> Sum => _sum.Floats;

    /// <summary>Adds the inputs of some tokens.</summary>
    /// <param name="scope">The pass; its precision is that of the product.</param>
    /// <param name="exact">X̃. [1, tokens, columns]</param>
    /// <param name="x">X. [1, tokens, columns]</param>
    /// <param name="residual">R̃ − R, where P is asked for. [1, tokens, rows]</param>
    public void Add(ComputeScope scope, Tensor exact, Tensor x, Tensor? residual)
    {
        AddProduct(scope, Binary.Subtract(scope, exact, x), x, _sum);
        if (_residual is not null)
        {
            ArgumentNullException.ThrowIfNull(residual);
            AddProduct(scope, residual, x, _residual);
        }

        RowCount += x.Shape.Rows;
    }

    /// <summary>Starts an empty sum in the memory of the last.</summary>
    public void Restart()
    {
        _sum.Floats.Clear();
        _residual?.Floats.Clear();
        RowCount = 0;
    }

    private void AddProduct(ComputeScope scope, Tensor difference, Tensor x, Tensor sum) =>
        _backend.MatMul(difference, transposeA: true, x, transposeB: false, alpha: 1f, accumulate: true, sum, scope.Precision);
}
