using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="RmsNorm"/> with a trainable weight.</summary>
public class RmsNormBenchmark : OperationBenchmark
{
    private Tensor _x = null!;
    private Tensor _weight = null!;

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _x = Parameter(Tokens, Hidden);
        _weight = Parameter(Hidden);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => RmsNorm.Forward(scope, _x, _weight, 1e-5f);
}
