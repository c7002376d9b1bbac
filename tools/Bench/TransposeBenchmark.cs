using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Transpose"/> of a matrix.</summary>
public class TransposeBenchmark : OperationBenchmark
{
    private Tensor _x = null!;

    /// <inheritdoc/>
    protected override void Prepare() =>
        _x = Parameter(Tokens, Hidden);

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Transpose.Forward(scope, _x);
}
