using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="MatMul"/> of tokens with a trainable square matrix.</summary>
public class MatMulBenchmark : OperationBenchmark
{
    private Tensor _x = null!;
    private Tensor _weight = null!;

    private double Product => 2.0 * Tokens * Hidden * Hidden;

    /// <inheritdoc/>
    public override (double Forward, double Backward) Flops => (Product, 2 * Product);

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _x = Parameter(Tokens, Hidden);
        _weight = Parameter(Hidden, Hidden);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => MatMul.Forward(scope, _x, _weight, transposeB: true);
}
