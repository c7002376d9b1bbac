using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Sums the products D = (X̃ − X)ᵀX of a layer's inputs in the unquantised model, X̃, and in the model as quantised so far, X: what a
/// target needs besides the Hessian.
/// </summary>
/// <remarks>
/// The difference is small beside X, so it may be multiplied in bfloat16: its rounding is relative to the difference. The sum is float32.
/// </remarks>
internal sealed class DeviationAccumulator
{
    private readonly CpuBackend _backend;
    private readonly Tensor _sum; // [columns, columns]

    /// <summary>Starts an empty sum.</summary>
    /// <param name="columns">Input features of the layer.</param>
    /// <param name="backend">Computes.</param>
    public DeviationAccumulator(int columns, CpuBackend backend)
    {
        (Columns, _backend) = (columns, backend);
        _sum = Tensor.Create(new Shape(columns, columns));
        Restart();
    }

    /// <summary>Input features of the layer.</summary>
    public int Columns { get; }

    /// <summary>Rows added so far, n.</summary>
    public long RowCount { get; private set; }

    /// <summary>D, row-major. [columns, columns]</summary>
    public ReadOnlySpan<float> Sum => _sum.Floats;

    /// <summary>Adds the inputs of some tokens.</summary>
    /// <param name="scope">The pass; its precision is that of the product.</param>
    /// <param name="exact">X̃. [1, tokens, columns]</param>
    /// <param name="x">X. [1, tokens, columns]</param>
    public void Add(ComputeScope scope, Tensor exact, Tensor x)
    {
        _backend.MatMul(Binary.Subtract(scope, exact, x), transposeA: true, x, transposeB: false, alpha: 1f, accumulate: true, _sum, scope.Precision);
        RowCount += x.Shape.Rows;
    }

    /// <summary>Starts an empty sum in the memory of the last.</summary>
    public void Restart()
    {
        _sum.Floats.Clear();
        RowCount = 0;
    }
}
