namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Transpose"/>.</summary>
public interface ITransposeKernels
{
    /// <summary>y = x with two axes swapped, or y += that.</summary>
    /// <param name="x">Any type.</param>
    /// <param name="axis0">0 … rank − 1.</param>
    /// <param name="axis1">0 … rank − 1.</param>
    /// <param name="y">The type of x, its shape with both extents swapped; other memory than x.</param>
    /// <param name="accumulate">Add to y; Float32 only.</param>
    void Transpose(Tensor x, int axis0, int axis1, Tensor y, bool accumulate);
}

/// <summary>Swaps two axes; the result is a copy, row-major like every tensor.</summary>
public static class Transpose
{
    /// <summary>y[…, j, …, i, …] = x[…, i, …, j, …].</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Any shape and type.</param>
    /// <param name="axis0">Counts from the end if negative.</param>
    /// <param name="axis1">Counts from the end if negative.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, int axis0 = -2, int axis1 = -1)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        (int first, int second) = (x.Shape.Axis(axis0), x.Shape.Axis(axis1));
        Tensor y = scope.New(x.Shape.With(first, x.Shape[second]).With(second, x.Shape[first]), x.DataType);
        scope.Backend.Transpose(x, first, second, y, accumulate: false);
        if (scope.Tracks(y, x))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Axis0, node.Axis1) = (x, first, second);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public int Axis0 { get; set; }

        public int Axis1 { get; set; }

        public override void Backward(ComputeScope scope) =>
            scope.Backend.Transpose(OutputGrad, Axis0, Axis1, scope.GradOf(X)!, accumulate: true);
    }
}
