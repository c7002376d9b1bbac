namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="CrossEntropy"/>: logits exist for a chunk of tokens at a time.</summary>
public interface ICrossEntropyKernels
{
    /// <summary>nll[t] = logSumExp[t] − logit[t, label[t]] with logits = hidden · headᵀ; 0 where the label is −100.</summary>
    /// <param name="hidden">[tokens, hiddenSize]</param>
    /// <param name="head">[vocabulary, hiddenSize]</param>
    /// <param name="labels">Int32 [tokens], −100 or 0 … vocabulary − 1.</param>
    /// <param name="nll">[tokens]</param>
    /// <param name="logSumExp">[tokens], kept for backward.</param>
    /// <param name="precision">Rounding of the operands of the product.</param>
    void CrossEntropyForward(Tensor hidden, WeightMatrix head, Tensor labels, Tensor nll, Tensor logSumExp, Precision precision);

    /// <summary>dHidden += g · (softmax − onehot) · head; dHead += g · (softmax − onehot)ᵀ · hidden, over supervised tokens.</summary>
    /// <param name="gradient">[1], ∂loss/∂(sum of nll) before scaling.</param>
    /// <param name="scale">Factor on it, so that g = scale · gradient.</param>
    /// <param name="hidden">[tokens, hiddenSize]</param>
    /// <param name="head">[vocabulary, hiddenSize]</param>
    /// <param name="labels">Int32 [tokens]</param>
    /// <param name="logSumExp">[tokens]</param>
    /// <param name="dHidden">[tokens, hiddenSize] or null.</param>
    /// <param name="dHead">[vocabulary, hiddenSize] or null.</param>
    /// <param name="precision">Rounding of the operands of the products.</param>
    void CrossEntropyBackward(
        Tensor gradient, float scale, Tensor hidden, WeightMatrix head, Tensor labels, Tensor logSumExp, Tensor? dHidden, Tensor? dHead, Precision precision);

    /// <summary>y[0] = scale · Σ x, summed in float64 in order.</summary>
    void ScaledSum(Tensor x, float scale, Tensor y);
}

/// <summary>Softmax cross entropy of a language model's head; the logits, [tokens, vocabulary], never exist whole.</summary>
/// <remarks>Backward computes each chunk of logits again instead of keeping it (Hsu et al., arXiv:2410.10989, section 3.2).</remarks>
public static class CrossEntropy
{
    /// <summary>The label that asks for no prediction.</summary>
    public const int Ignored = -100;

    /// <summary>loss = Σ nll / normalizer over the tokens with a label.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="hidden">[tokens, hiddenSize], after the final norm.</param>
    /// <param name="head">[vocabulary, hiddenSize]</param>
    /// <param name="labels">Int32 [tokens]: what each token must predict, or −100.</param>
    /// <param name="normalizer">Supervised tokens of the whole accumulated batch.</param>
    /// <returns>[1]</returns>
    /// <exception cref="ArgumentException">The shapes do not fit, or a label is out of range.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor hidden, WeightMatrix head, Tensor labels, float normalizer)
    {
        (Tensor nll, Tensor logSumExp) = Losses(scope, hidden, head, labels);
        Tensor loss = scope.New(new Shape(1));
        scope.Backend.ScaledSum(nll, 1f / normalizer, loss);
        if (scope.Tracks(loss, hidden, head.Dense, labels))
        {
            Node node = scope.Record<Node>(loss);
            (node.Hidden, node.Head, node.Labels, node.LogSumExp, node.Scale) = (hidden, head, labels, logSumExp, 1f / normalizer);
        }

        return loss;
    }

    /// <summary>Negative log-likelihood of every token's label; 0 where it is −100. Takes no part in autograd.</summary>
    /// <returns>[tokens]</returns>
    /// <inheritdoc cref="Forward"/>
    public static Tensor TokenLosses(ComputeScope scope, Tensor hidden, WeightMatrix head, Tensor labels)
    {
        Tensor nll = Losses(scope, hidden, head, labels).Nll;
        GC.KeepAlive(hidden);
        GC.KeepAlive(labels);
        return nll;
    }

    private static (Tensor Nll, Tensor LogSumExp) Losses(ComputeScope scope, Tensor hidden, WeightMatrix head, Tensor labels)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(hidden);
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(labels);
        long tokens = hidden.Shape.Rows;
        if (hidden.Shape.Columns != head.InDim || labels.Shape.Count != tokens)
        {
            throw new ArgumentException($"hidden is {hidden.Shape}, the head is {head} and there are {labels.Shape.Count} labels; they do not fit.", nameof(labels));
        }

        Tensor nll = scope.New(new Shape(tokens));
        Tensor logSumExp = scope.New(new Shape(tokens));
        scope.Backend.CrossEntropyForward(hidden, head, labels, nll, logSumExp, scope.Precision);
        return (nll, logSumExp);
    }

    private sealed class Node : TapeNode
    {
        public Tensor Hidden { get; set; } = null!;

        public WeightMatrix Head { get; set; } = null!;

        public Tensor Labels { get; set; } = null!;

        public Tensor LogSumExp { get; set; } = null!;

        public float Scale { get; set; }

        public override void Backward(ComputeScope scope) => scope.Backend.CrossEntropyBackward(
            OutputGrad, Scale, Hidden, Head, Labels, LogSumExp, scope.GradOf(Hidden), scope.GradOf(Head.Dense), scope.Precision);
    }
}
