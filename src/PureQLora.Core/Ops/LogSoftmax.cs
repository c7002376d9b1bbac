namespace PureQLora.Core;

/// <summary>Logarithm of the softmax over the last axis: y = x − ln Σ e^x, exact where the probability itself would round to 0.</summary>
/// <remarks>
/// An element of −∞ stays −∞. A row of −∞ alone stays −∞ and gets no gradient. A row with NaN or +∞ gives NaN.
/// </remarks>
public static class LogSoftmax
{
    /// <summary>Log-probabilities of each row.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, classes]</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Forward(ComputeScope scope, Tensor x)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        Tensor y = scope.New(x.Shape);
        scope.Backend.LogSoftmaxForward(x, y);
        if (scope.Tracks(y, x))
        {
            scope.Record<Node>(y).X = x;
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public override void Backward(ComputeScope scope) => scope.Backend.LogSoftmaxBackward(OutputGrad, Output, scope.GradOf(X)!);
    }
}
