namespace PureQLora.Core;

/// <summary>Drops elements at random and scales the others so that the mean stays: y = x · mask / (1 − p).</summary>
/// <remarks>Srivastava et al., JMLR 15 (2014). The mask follows from a key, so backward makes it again instead of keeping it.</remarks>
public static class Dropout
{
    /// <summary>Drops elements, whether or not the scope records.</summary>
    /// <param name="scope">Gives the key.</param>
    /// <param name="x">Float32.</param>
    /// <param name="probability">Of dropping an element, in [0, 1).</param>
    /// <exception cref="ArgumentOutOfRangeException">Not in [0, 1).</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, float probability)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        if (probability is not (>= 0 and < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(probability), probability, "A dropout probability is at least 0 and below 1.");
        }

        if (probability == 0)
        {
            return x;
        }

        ulong key = scope.Random.NextKey();
        Tensor y = scope.New(x.Shape);
        scope.Backend.Dropout(x, key, probability, accumulate: false, y);
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

        public override void Backward(ComputeScope scope) =>
            scope.Backend.Dropout(OutputGrad, Key, Probability, accumulate: true, scope.GradOf(X)!);
    }
}
