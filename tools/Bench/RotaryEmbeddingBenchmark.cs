using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="RotaryEmbedding"/> of the queries.</summary>
public class RotaryEmbeddingBenchmark : OperationBenchmark
{
    private Tensor _x = null!;
    private Tensor _positions = null!;
    private RotaryTable _table = null!;

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _x = Parameter(1, Tokens, Heads, HeadDim);
        _positions = Ids(Tokens, Tokens).View(new Shape(1, Tokens));
        _table = new RotaryTable(new double[HeadDim / 2].AsSpan(), 1, Tokens);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => RotaryEmbedding.Forward(scope, _x, _positions, _table);
}
