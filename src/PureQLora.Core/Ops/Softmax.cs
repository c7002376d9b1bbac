namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Softmax"/> and <see cref="LogSoftmax"/>.</summary>
public interface ISoftmaxKernels
{
    /// <summary>y = softmax(x) or its logarithm, row by row.</summary>
    void SoftmaxForward(Tensor x, bool logarithm, Tensor y);

    /// <summary>Softmax: dx += y · (dy − Σ dy·y). Logarithm: dx += dy − eʸ · Σ dy.</summary>
    void SoftmaxBackward(Tensor dy, Tensor y, bool logarithm, Tensor dx);
}

/// <summary>y = eˣ / Σ eˣ over the last dimension. −∞ gives 0; a row of −∞ alone gives NaN, as there is nothing to choose.</summary>
public static class Softmax
{
    /// <summary>Probabilities of each row.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, classes], Float32.</param>
    public static Tensor Forward(ComputeScope scope, Tensor x) => Forward(scope, x, logarithm: false);

    internal static Tensor Forward(ComputeScope scope, Tensor x, bool logarithm)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        Tensor y = scope.New(x.Shape);
        scope.Backend.SoftmaxForward(x, logarithm, y);
        if (scope.Tracks(y, x))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Logarithm) = (x, logarithm);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public bool Logarithm { get; set; }

        public override void Backward(ComputeScope scope) => scope.Backend.SoftmaxBackward(OutputGrad, Output, Logarithm, scope.GradOf(X)!);
    }
}
