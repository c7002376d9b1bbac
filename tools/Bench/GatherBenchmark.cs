using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="Gather"/>, and so <see cref="Embedding"/>, from a trainable table of the vocabulary.</summary>
public class GatherBenchmark : OperationBenchmark
{
    private Tensor _table = null!;
    private Tensor _ids = null!;

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _table = Parameter(Vocabulary, Hidden);
        _ids = Ids(Tokens, Vocabulary);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => Gather.Forward(scope, _table, _ids);
}
