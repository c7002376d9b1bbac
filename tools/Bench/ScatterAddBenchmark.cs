using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="ScatterAdd"/> of one row a token.</summary>
public class ScatterAddBenchmark : OperationBenchmark
{
    private Tensor _x = null!;
    private Tensor _ids = null!;
    private Tensor _updates = null!;

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _x = Parameter(Tokens, Hidden);
        _ids = Ids(Tokens, Tokens);
        _updates = Parameter(Tokens, Hidden);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => ScatterAdd.Forward(scope, _x, _ids, _updates);
}
