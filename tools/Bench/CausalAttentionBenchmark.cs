using BenchmarkDotNet.Attributes;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="CausalAttention"/>; operations are counted for the visible half of the scores, and five products in backward.</summary>
public class CausalAttentionBenchmark : OperationBenchmark
{
    private Tensor _q = null!;
    private Tensor _k = null!;
    private Tensor _v = null!;

    /// <summary>Rounding of the operands of the products.</summary>
    [Params(Precision.Float32, Precision.BFloat16)]
    public Precision Precision { get; set; }

    private double Product => (double)Tokens * (Tokens + 1) * Heads * HeadDim;

    /// <inheritdoc/>
    public override (double Forward, double Backward) Flops => (2 * Product, 5 * Product);

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _q = Parameter(1, Tokens, Heads, HeadDim);
        _k = Parameter(1, Tokens, KeyValueHeads, HeadDim);
        _v = Parameter(1, Tokens, KeyValueHeads, HeadDim);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope)
    {
        scope.Precision = Precision;
        return CausalAttention.Forward(scope, _q, _k, _v, default, 1f / MathF.Sqrt(HeadDim));
    }
}
