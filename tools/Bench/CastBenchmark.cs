using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Cast"/> from float32 to bfloat16.</summary>
public class CastBenchmark : OperationBenchmark
{
    private Tensor _x = null!;

    /// <inheritdoc/>
    protected override void Prepare() =>
        _x = Parameter(Tokens, Hidden);

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Cast.Forward(scope, _x, DataType.BFloat16);
}
