using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Reshape"/>, which moves nothing: the cost of an operation as such.</summary>
public class ReshapeBenchmark : OperationBenchmark
{
    private Tensor _x = null!;

    /// <inheritdoc/>
    protected override void Prepare() =>
        _x = Parameter(Tokens, Hidden);

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Reshape.Forward(scope, _x, new Shape(1, Tokens, Heads, Hidden / Heads));
}
