using BenchmarkDotNet.Attributes;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="QLoraLinear"/>, up-projection: frozen 4-bit weight, with and without a <see cref="LoraBranch"/> of rank 16.</summary>
public class QLoraLinearBenchmark : OperationBenchmark
{
    private Tensor _x = null!;
    private WeightMatrix _weight = null!;
    private Tensor _a = null!;
    private Tensor _b = null!;

    private const int Rank = 16;

    /// <summary>With an adapter.</summary>
    [ParamsAllValues]
    public bool Adapter { get; set; }

    /// <summary>What the weight's codes stand for.</summary>
    [ParamsAllValues]
    public WeightCodes Codes { get; set; }

    private double Product => 2.0 * Tokens * Hidden * Intermediate;

    private double Branch => Adapter ? 2.0 * Tokens * Rank * (Hidden + Intermediate) : 0;

    /// <inheritdoc/>
    public override (double Forward, double Backward) Flops => (Product + Branch, Product + (2 * Branch));

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _x = Parameter(Tokens, Hidden);
        _weight = Quantized(Intermediate, Hidden, Codes);
        _a = Parameter(Rank, Hidden);
        _b = Parameter(Intermediate, Rank);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => QLoraLinear.Forward(scope, _x, _weight, null, Adapter ? new LoraBranch(_a, _b, 2f, 0f) : null);
}
