using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="CrossEntropy"/> with a frozen head; backward computes the logits again.</summary>
public class CrossEntropyBenchmark : OperationBenchmark
{
    private Tensor _hidden = null!;
    private Tensor _labels = null!;
    private WeightMatrix _head = null!;

    private double Product => 2.0 * Tokens * Hidden * Vocabulary;

    /// <inheritdoc/>
    public override (double Forward, double Backward) Flops => (Product, 2 * Product);

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _hidden = Parameter(Tokens, Hidden);
        _labels = Ids(Tokens, Vocabulary);
        _head = new WeightMatrix(Constant(Vocabulary, Hidden));
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => CrossEntropy.Forward(scope, _hidden, _head, _labels, Tokens);
}
