using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="SwiGlu"/> at the feed-forward size.</summary>
public class SwiGluBenchmark : OperationBenchmark
{
    private Tensor _gate = null!;
    private Tensor _up = null!;

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _gate = Parameter(Tokens, Intermediate);
        _up = Parameter(Tokens, Intermediate);
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => SwiGlu.Forward(scope, _gate, _up);
}
