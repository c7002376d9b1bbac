using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>A product with a quantised weight whose scales are trained: backward is <see cref="IScaleGradientKernels.ScaleGradient"/> alone.</summary>
public class ScaleGradientBenchmark : OperationBenchmark
{
    private Tensor _x = null!;
    private WeightMatrix _weight = null!;

    private double Product => 2.0 * Tokens * Hidden * Intermediate;

    /// <inheritdoc/>
    public override (double Forward, double Backward) Flops => (Product, Product);

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _x = Constant(Tokens, Hidden);
        _weight = new WeightMatrix(Quantized(Intermediate, Hidden).Quantized!, trainScales: true);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => QLoraLinear.Forward(scope, _x, _weight);
}
