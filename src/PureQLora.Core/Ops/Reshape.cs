namespace PureQLora.Core;

/// <summary>The same elements in the same order under another shape; shares memory with its input.</summary>
public static class Reshape
{
    /// <summary>Sees x as another shape.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Any type.</param>
    /// <param name="shape">As many elements as x.</param>
    /// <exception cref="ArgumentException">The counts differ.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, Shape shape)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        if (shape.Count != x.Shape.Count)
        {
            throw new ArgumentException($"{x.Shape} has {x.Shape.Count} elements and {shape} has {shape.Count}; a reshape keeps them all.", nameof(shape));
        }

        Tensor y = scope.View(x, shape);
        if (scope.Tracks(y, x))
        {
            scope.Record<Node>(y).X = x;
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public override void Backward(ComputeScope scope)
        {
            // The first gradient to arrive is handed on as it is; later ones are added to it.
            if (X.Grad is null)
            {
                X.Grad = scope.View(OutputGrad, X.Shape);
            }
            else
            {
                scope.Backend.AddScaled(OutputGrad, 1f, X.Grad);
            }
        }
    }
}
