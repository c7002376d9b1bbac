namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Dropout"/>.</summary>
public interface IDropoutKernels
{
    /// <summary>y(i) = x(i) / (1 − probability) where <see cref="RandomState.Uniform"/>(key, i) ≥ probability, else 0.</summary>
    void DropoutForward(Tensor x, ulong key, float probability, Tensor y);

    /// <summary>dx(i) += dy(i) / (1 − probability) where forward kept the element.</summary>
    void DropoutBackward(Tensor dy, ulong key, float probability, Tensor dx);
}

/// <summary>Sets each element to 0 with a given probability and scales the others up, so that the expectation stays.</summary>
/// <remarks>
/// Srivastava et al., JMLR 15 (2014), in the inverted form. The mask is a function of one key and is never stored: the same in
/// backward, in a checkpoint's second run, and for any number of threads.
/// </remarks>
public static class Dropout
{
    /// <summary>y = x · mask / (1 − probability).</summary>
    /// <param name="scope">The pass; its <see cref="ComputeScope.Random"/> gives the key.</param>
    /// <param name="x">Float32, any shape.</param>
    /// <param name="probability">Share of elements to drop, in [0, 1); at 0, x itself is returned and no key is drawn.</param>
    /// <exception cref="ArgumentOutOfRangeException">The probability is outside [0, 1).</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, float probability)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        if (!(probability >= 0f && probability < 1f))
        {
            throw new ArgumentOutOfRangeException(nameof(probability), probability, "A dropout probability is at least 0 and below 1.");
        }

        if (probability == 0f)
        {
            return x;
        }

        ulong key = scope.Random.NextKey();
        Tensor y = scope.New(x.Shape);
        scope.Backend.DropoutForward(x, key, probability, y);
        if (scope.Tracks(y, x))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Key, node.Probability) = (x, key, probability);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public ulong Key { get; set; }

        public float Probability { get; set; }

        public override void Backward(ComputeScope scope) => scope.Backend.DropoutBackward(OutputGrad, Key, Probability, scope.GradOf(X)!);
    }
}
