namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Slice"/> and <see cref="Concatenate"/>, and for appending to a key-value cache.</summary>
public interface ICopyKernels
{
    /// <summary>
    /// destination[…, destinationStart + i, …] = source[…, sourceStart + i, …] for i &lt; length along one axis, or += that.
    /// </summary>
    /// <param name="source">Any type.</param>
    /// <param name="sourceStart">First index along the axis.</param>
    /// <param name="destination">The type of the source; equal extents at all other axes; other memory.</param>
    /// <param name="destinationStart">First index along the axis.</param>
    /// <param name="length">Indices along the axis.</param>
    /// <param name="axis">Counts from the end if negative.</param>
    /// <param name="accumulate">Add to the destination; Float32 only.</param>
    /// <exception cref="ArgumentException">Types or shapes do not go together, or a range leaves its tensor.</exception>
    void CopySlice(Tensor source, long sourceStart, Tensor destination, long destinationStart, long length, int axis, bool accumulate);
}

/// <summary>A stretch of one axis, copied.</summary>
public static class Slice
{
    /// <summary>y[…, i, …] = x[…, start + i, …], i = 0 … length − 1.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Any shape and type.</param>
    /// <param name="axis">Counts from the end if negative.</param>
    /// <param name="start">First index.</param>
    /// <param name="length">Number of indices; may be 0.</param>
    /// <exception cref="ArgumentException">The stretch leaves x.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, int axis, long start, long length)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        int at = x.Shape.Axis(axis);
        if (start < 0 || length < 0 || start > x.Shape[at] - length)
        {
            throw new ArgumentException($"{length} elements from {start} leave axis {at} of {x.Shape}.", nameof(start));
        }

        Tensor y = scope.New(x.Shape.With(at, length), x.DataType);
        scope.Backend.CopySlice(x, start, y, 0, length, at, accumulate: false);
        if (scope.Tracks(y, x))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Axis, node.Start) = (x, at, start);
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
