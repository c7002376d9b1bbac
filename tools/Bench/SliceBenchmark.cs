using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Slice"/> of the middle half of every row.</summary>
public class SliceBenchmark : OperationBenchmark
{
    private Tensor _x = null!;

    /// <inheritdoc/>
    protected override void Prepare() =>
        _x = Parameter(Tokens, Hidden);

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Slice.Forward(scope, _x, 1, Hidden / 4, Hidden / 2);
}
