namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Reduction"/>.</summary>
public interface IReductionKernels
{
    /// <summary>y = reduction of x over an axis.</summary>
    /// <param name="kind">Sum, mean or max.</param>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">0 … rank − 1.</param>
    /// <param name="y">As many elements as x has without the axis.</param>
    /// <param name="index">Int32, as y: where the maximum was; null for sum and mean.</param>
    void ReduceForward(ReductionKind kind, Tensor x, int axis, Tensor y, Tensor? index);

    /// <summary>dx += dy spread over the axis; for the maximum to its place only.</summary>
    void ReduceBackward(ReductionKind kind, Tensor dy, int axis, Tensor? index, Tensor dx);
}

/// <summary>Sum, mean and maximum over one axis, or over everything.</summary>
public static class Reduction
{
    /// <summary>Σ over an axis; all elements if none is given.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">Float32.</param>
    /// <param name="axis">Negative counts from the end; null: the result is [1].</param>
    /// <param name="keepDimension">Keep the axis with extent 1.</param>
    public static Tensor Sum(ComputeScope scope, Tensor x, int? axis = null, bool keepDimension = false) => Forward(scope, ReductionKind.Sum, x, axis, keepDimension);

    /// <summary>Mean over an axis.</summary>
    /// <inheritdoc cref="Sum"/>
    public static Tensor Mean(ComputeScope scope, Tensor x, int? axis = null, bool keepDimension = false) => Forward(scope, ReductionKind.Mean, x, axis, keepDimension);

    /// <summary>Largest element over an axis, which must not be empty.</summary>
    /// <inheritdoc cref="Sum"/>
    public static Tensor Max(ComputeScope scope, Tensor x, int? axis = null, bool keepDimension = false) => Forward(scope, ReductionKind.Max, x, axis, keepDimension);

    private static Tensor Forward(ComputeScope scope, ReductionKind kind, Tensor x, int? axis, bool keepDimension)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        if (axis is null)
        {
            return Forward(scope, kind, Reshape.Forward(scope, x, new Shape(x.Shape.Count)), 0, keepDimension: true);
        }

        int at = x.Shape.Axis(axis.Value);
        if (kind != ReductionKind.Sum && x.Shape[at] == 0)
        {
            throw new ArgumentException($"{kind} over dimension {at} of {x.Shape} has no element to take.", nameof(axis));
        }

        Tensor y = scope.New(keepDimension || x.Shape.Rank == 1 ? x.Shape.With(at, 1) : Without(x.Shape, at));
        Tensor? index = kind == ReductionKind.Max ? scope.New(y.Shape, DataType.Int32) : null;
        scope.Backend.ReduceForward(kind, x, at, y, index);
        if (scope.Tracks(y, x))
        {
            Node node = scope.Record<Node>(y);
            (node.Kind, node.X, node.Axis, node.Index) = (kind, x, at, index);
        }

        return y;
    }

    private static Shape Without(Shape shape, int axis)
    {
        Span<long> extents = stackalloc long[shape.Rank - 1];
        for (int i = 0; i < extents.Length; i++)
        {
            extents[i] = shape[i < axis ? i : i + 1];
        }

        return new Shape(extents);
    }

    private sealed class Node : TapeNode
    {
        public ReductionKind Kind { get; set; }

        public Tensor X { get; set; } = null!;

        public int Axis { get; set; }

        public Tensor? Index { get; set; }

        public override void Backward(ComputeScope scope) => scope.Backend.ReduceBackward(Kind, OutputGrad, Axis, Index, scope.GradOf(X)!);
    }
}
