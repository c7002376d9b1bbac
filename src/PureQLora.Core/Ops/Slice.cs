namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Slice"/> and the key-value cache.</summary>
public interface ICopyKernels
{
    /// <summary>destination[…, destinationStart + i, …] = or += source[…, sourceStart + i, …] for i below length, along an axis.</summary>
    /// <param name="source">Any type.</param>
    /// <param name="sourceStart">First index along the axis.</param>
    /// <param name="destination">The type of the source; the other extents are equal.</param>
    /// <param name="destinationStart">First index along the axis.</param>
    /// <param name="length">Indices copied.</param>
    /// <param name="axis">0 … rank − 1.</param>
    /// <param name="accumulate">Add instead of overwriting; Float32 only.</param>
    void CopySlice(Tensor source, long sourceStart, Tensor destination, long destinationStart, long length, int axis, bool accumulate);
}

/// <summary>A run of indices along one dimension; copies.</summary>
public static class Slice
{
    /// <summary>Indices start … start + length − 1 along an axis.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Any type; gradients flow through Float32.</param>
    /// <param name="axis">Negative counts from the end.</param>
    /// <param name="start">First index.</param>
    /// <param name="length">Number of indices.</param>
    /// <exception cref="ArgumentOutOfRangeException">The run leaves the tensor.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, int axis, long start, long length)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        axis = x.Shape.Axis(axis);
        if (start < 0 || length < 0 || start > x.Shape[axis] - length)
        {
            throw new ArgumentOutOfRangeException(nameof(start), start, $"{length} indices from here leave dimension {axis} of {x.Shape}.");
        }

        Tensor y = scope.New(x.Shape.With(axis, length), x.DataType);
        scope.Backend.CopySlice(x, start, y, 0, length, axis, accumulate: false);
        if (scope.Tracks(y, x))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Axis, node.Start) = (x, axis, start);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public int Axis { get; set; }

        public long Start { get; set; }

        public override void Backward(ComputeScope scope) =>
            scope.Backend.CopySlice(OutputGrad, 0, scope.GradOf(X)!, Start, OutputGrad.Shape[Axis], Axis, accumulate: true);
    }
}
