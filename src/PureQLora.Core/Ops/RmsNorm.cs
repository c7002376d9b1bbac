namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="RmsNorm"/>.</summary>
public interface IRmsNormKernels
{
    /// <summary>y = weight · x · rstd with rstd = 1 / sqrt(mean(x²) + epsilon), row by row.</summary>
    /// <param name="x">[rows, width]</param>
    /// <param name="weight">[width]</param>
    /// <param name="epsilon">Keeps a row of zeros finite.</param>
    /// <param name="y">[rows, width]</param>
    /// <param name="rstd">[rows], kept for backward.</param>
    void RmsNormForward(Tensor x, Tensor weight, float epsilon, Tensor y, Tensor rstd);

    /// <summary>dx += rstd · (dy·w − x · rstd² · mean(dy·w·x)); dWeight += Σ over rows of dy · x · rstd.</summary>
    void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor rstd, Tensor? dx, Tensor? dWeight);
}

/// <summary>Root-mean-square normalisation over the last dimension: y = w · x / sqrt(mean(x²) + epsilon).</summary>
/// <remarks>Zhang and Sennrich, arXiv:1910.07467, eq. 4. Statistics are float32.</remarks>
public static class RmsNorm
{
    /// <summary>Normalises each row.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, width]</param>
    /// <param name="weight">[width]</param>
    /// <param name="epsilon">Keeps a row of zeros finite.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentException">Widths differ.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, Tensor weight, float epsilon)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        if (weight.Shape.Count != x.Shape.Columns)
        {
            throw new ArgumentException($"The weight is {weight.Shape} but the rows of x, {x.Shape}, have {x.Shape.Columns} elements.", nameof(weight));
        }

        Tensor y = scope.New(x.Shape);                       // [rows, width]
        Tensor rstd = scope.New(new Shape(x.Shape.Rows));    // [rows]
        scope.Backend.RmsNormForward(x, weight, epsilon, y, rstd);
        if (scope.Tracks(y, x, weight))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Weight, node.Rstd) = (x, weight, rstd);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public Tensor Weight { get; set; } = null!;

        public Tensor Rstd { get; set; } = null!;

        public override void Backward(ComputeScope scope) =>
            scope.Backend.RmsNormBackward(OutputGrad, X, Weight, Rstd, scope.GradOf(X), scope.GradOf(Weight));
    }
}
