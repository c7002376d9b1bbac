namespace PureQLora.Core;

/// <summary>The same elements in the same order under another shape. Nothing is copied: the result shares the memory of its input.</summary>
public static class Reshape
{
    /// <summary>y = x, seen as another shape.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Any shape and type.</param>
    /// <param name="shape">As many elements as x.</param>
    /// <exception cref="ArgumentException">Another number of elements.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, Shape shape)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        if (x.Shape.Count != shape.Count)
        {
            throw new ArgumentException($"{x.Shape} has {x.Shape.Count} elements and cannot become {shape}, which has {shape.Count}.", nameof(shape));
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

        public override void Backward(ComputeScope scope) => scope.HandOnGrad(OutputGrad, X);
    }
}
