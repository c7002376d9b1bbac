namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Reduction"/>.</summary>
public interface IReductionKernels
{
    /// <summary>y = scale · Σ x along an axis.</summary>
    /// <param name="x">[outer…, extent, inner…]</param>
    /// <param name="axis">Where extent is, 0 … rank − 1.</param>
    /// <param name="scale">1, or 1 / extent for a mean.</param>
    /// <param name="y">outer · inner elements.</param>
    void ReduceSum(Tensor x, int axis, double scale, Tensor y);

    /// <summary>dx += scale · dy, repeated along the axis.</summary>
    void ReduceSumBackward(Tensor dy, int axis, double scale, Tensor dx);

    /// <summary>y = max x along an axis, and where it was first found; NaN counts as the largest.</summary>
    /// <param name="x">[outer…, extent, inner…], extent at least 1.</param>
    /// <param name="axis">Where extent is, 0 … rank − 1.</param>
    /// <param name="y">outer · inner elements.</param>
    /// <param name="indices">Int32, outer · inner elements.</param>
    void ReduceMax(Tensor x, int axis, Tensor y, Tensor indices);

    /// <summary>dx at the index += dy.</summary>
    void ReduceMaxBackward(Tensor dy, Tensor indices, int axis, Tensor dx);
}

/// <summary>Sum, mean and maximum of a Float32 tensor along one axis, or over all elements where the axis is null.</summary>
/// <remarks>
/// The axis disappears from the shape unless <c>keepDim</c>; a result of no axes at all is [1]. Sums are taken in fixed pieces and
/// joined in float64, so that they depend neither on the number of threads nor much on the length.
/// </remarks>
public static class Reduction
{
    /// <summary>y = Σ x.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">Counts from the end if negative; null sums everything.</param>
    /// <param name="keepDim">Leave an extent of 1 in place of the axis.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public static Tensor Sum(ComputeScope scope, Tensor x, int? axis = null, bool keepDim = false) => SumScaled(scope, x, axis, keepDim, mean: false);

    /// <summary>y = Σ x / extent; NaN where the axis is empty.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">Counts from the end if negative; null averages everything.</param>
    /// <param name="keepDim">Leave an extent of 1 in place of the axis.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public static Tensor Mean(ComputeScope scope, Tensor x, int? axis = null, bool keepDim = false) => SumScaled(scope, x, axis, keepDim, mean: true);

    /// <summary>y = max x; a NaN is the maximum. The gradient goes to the first maximum (of zeros, +0 is larger than −0).</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">Counts from the end if negative; null takes everything.</param>
    /// <param name="keepDim">Leave an extent of 1 in place of the axis.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    /// <exception cref="ArgumentException">The axis is empty.</exception>
    public static Tensor Max(ComputeScope scope, Tensor x, int? axis = null, bool keepDim = false)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        Shape seen = Seen(x.Shape, axis);
        int at = axis is { } dimension ? seen.Axis(dimension) : 0;
        if (seen[at] == 0)
        {
            throw new ArgumentException($"{x.Shape} has no elements along the axis, and nothing has no maximum.", nameof(x));
        }

        Tensor y = scope.New(Result(x.Shape, axis, keepDim));
        Tensor indices = scope.New(y.Shape, DataType.Int32);
        scope.Backend.ReduceMax(scope.View(x, seen), at, y, indices);
        if (scope.Tracks(y, x))
        {
            MaxNode node = scope.Record<MaxNode>(y);
            (node.X, node.Indices, node.Seen, node.Axis) = (x, indices, seen, at);
        }

        return y;
    }

    private static Tensor SumScaled(ComputeScope scope, Tensor x, int? axis, bool keepDim, bool mean)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        Shape seen = Seen(x.Shape, axis);
        int at = axis is { } dimension ? seen.Axis(dimension) : 0;
        double scale = mean ? 1.0 / seen[at] : 1.0;
        Tensor y = scope.New(Result(x.Shape, axis, keepDim));
        scope.Backend.ReduceSum(scope.View(x, seen), at, scale, y);
        if (scope.Tracks(y, x))
        {
            SumNode node = scope.Record<SumNode>(y);
            (node.X, node.Seen, node.Axis, node.Scale) = (x, seen, at, scale);
        }

        return y;
    }

    /// <summary>All elements are one axis where none is named.</summary>
    private static Shape Seen(Shape shape, int? axis) => axis is null ? new Shape(shape.Count) : shape;

    private static Shape Result(Shape shape, int? axis, bool keepDim)
    {
        Span<long> extents = stackalloc long[4];
        int rank = 0;
        int reduced = axis is { } dimension ? shape.Axis(dimension) : -1;
        for (int i = 0; i < shape.Rank; i++)
        {
            bool gone = axis is null || i == reduced;
            if (!gone || keepDim)
            {
                extents[rank++] = gone ? 1 : shape[i];
            }
        }

        return rank == 0 ? new Shape(1) : new Shape(extents[..rank]);
    }

    private sealed class SumNode : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public Shape Seen { get; set; }

        public int Axis { get; set; }

        public double Scale { get; set; }

        public override void Backward(ComputeScope scope) =>
            scope.Backend.ReduceSumBackward(OutputGrad, Axis, Scale, scope.View(scope.GradOf(X)!, Seen));
    }

    private sealed class MaxNode : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public Tensor Indices { get; set; } = null!;

        public Shape Seen { get; set; }

        public int Axis { get; set; }

        public override void Backward(ComputeScope scope) =>
            scope.Backend.ReduceMaxBackward(OutputGrad, Indices, Axis, scope.View(scope.GradOf(X)!, Seen));
    }
}
