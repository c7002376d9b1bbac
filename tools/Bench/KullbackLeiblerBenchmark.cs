using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><see cref="KullbackLeibler"/> of two models of one size; the gradient comes with the loss.</summary>
public class KullbackLeiblerBenchmark : OperationBenchmark
{
    private Tensor _hidden = null!;
    private Tensor _teacher = null!;
    private WeightMatrix _head = null!;

    private double Product => 2.0 * Tokens * Hidden * Vocabulary;

    /// <inheritdoc/>
    public override (double Forward, double Backward) Flops => (2 * Product, Product);

    /// <inheritdoc/>
    protected override void Prepare()
    {
        _hidden = Parameter(Tokens, Hidden);
        _teacher = Constant(Tokens, Hidden);
        _head = new WeightMatrix(Constant(Vocabulary, Hidden));
    }

    /// <inheritdoc/>
    protected override Tensor Run(ComputeScope scope) => KullbackLeibler.Forward(scope, _hidden, _head, _teacher, _head, Tokens);
}
