namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Softmax"/> and <see cref="LogSoftmax"/>.</summary>
public interface ISoftmaxKernels
{
    /// <summary>y = e^(x − max x) / Σ e^(x − max x), row by row; a row of −∞ alone gives zeros.</summary>
    void SoftmaxForward(Tensor x, Tensor y);

    /// <summary>dx += y · (dy − Σ dy·y), row by row.</summary>
    void SoftmaxBackward(Tensor dy, Tensor y, Tensor dx);

    /// <summary>y = x − max x − ln Σ e^(x − max x), row by row; a row of −∞ alone gives −∞.</summary>
    void LogSoftmaxForward(Tensor x, Tensor y);

    /// <summary>dx += dy − e^y · Σ dy, row by row; nothing where the row was −∞ alone.</summary>
    void LogSoftmaxBackward(Tensor dy, Tensor y, Tensor dx);
}

/// <summary>Softmax over the last axis: y = e^x / Σ e^x, computed from x − max x, so that nothing overflows.</summary>
/// <remarks>
/// An element of −∞ gets probability 0. A row of −∞ alone, where everything is masked, gives zeros and no gradient, so that a padded
/// query contributes nothing, where other libraries give NaN. A row with NaN or +∞ gives NaN.
/// </remarks>
public static class Softmax
{
    /// <summary>Probabilities of each row.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, classes]</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Forward(ComputeScope scope, Tensor x)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        Tensor y = scope.New(x.Shape);
        scope.Backend.SoftmaxForward(x, y);
        if (scope.Tracks(y, x))
        {
            scope.Record<Node>(y).X = x;
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public override void Backward(ComputeScope scope) => scope.Backend.SoftmaxBackward(OutputGrad, Output, scope.GradOf(X)!);
    }
}
