using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Dropout"/> of one element in ten.</summary>
public class DropoutBenchmark : OperationBenchmark
{
    private Tensor _x = null!;

    /// <inheritdoc/>
    protected override void Prepare() =>
        _x = Parameter(Tokens, Hidden);

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Dropout.Forward(scope, _x, 0.1f);
}
