using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Concatenate"/> of two tensors along the last axis.</summary>
public class ConcatenateBenchmark : OperationBenchmark
{
    private Tensor _x = null!;
    private Tensor _other = null!;

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _x = Parameter(Tokens, Hidden);
        _other = Parameter(Tokens, Hidden);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Concatenate.Forward(scope, 1, _x, _other);
}
