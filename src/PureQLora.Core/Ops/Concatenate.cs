namespace PureQLora.Core;

/// <summary>Joins tensors along one axis, in order.</summary>
public static class Concatenate
{
    /// <summary>y = the parts one behind the other.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="axis">Counts from the end if negative.</param>
    /// <param name="parts">At least one; equal types, and equal extents at all other axes.</param>
    /// <exception cref="ArgumentException">No parts, or parts that do not go together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public static Tensor Forward(ComputeScope scope, int axis, params ReadOnlySpan<Tensor> parts)
    {
        ArgumentNullException.ThrowIfNull(scope);
        if (parts.Length == 0)
        {
            throw new ArgumentException("There is nothing to join; give at least one tensor.", nameof(parts));
        }

        Shape first = parts[0].Shape;
        int at = first.Axis(axis);
        long extent = 0;
        foreach (Tensor part in parts)
        {
            if (part.DataType != parts[0].DataType || part.Shape.Rank != first.Rank || part.Shape.With(at, 0) != first.With(at, 0))
            {
                throw new ArgumentException($"{part} cannot be joined to {parts[0]} along axis {at}: types and all other extents must be equal.", nameof(parts));
            }

            extent = checked(extent + part.Shape[at]);
        }

        Tensor y = scope.New(first.With(at, extent), parts[0].DataType);
        long start = 0;
        bool tracks = false;
        foreach (Tensor part in parts)
        {
            scope.Backend.CopySlice(part, 0, y, start, part.Shape[at], at, accumulate: false);
            start += part.Shape[at];
            tracks |= part.RequiresGrad;
        }

        if (tracks && scope.RecordsGradients)
        {
            y.RequiresGrad = true;
            Record(scope, y, at, parts);
        }

        return y;
    }

    // One node a part: nodes are recycled by type, and a list inside a node would not be.
    private static void Record(ComputeScope scope, Tensor y, int axis, ReadOnlySpan<Tensor> parts)
    {
        long start = 0;
        foreach (Tensor part in parts)
        {
            if (part.RequiresGrad)
            {
                Node node = scope.Record<Node>(y);
                (node.Part, node.Axis, node.Start) = (part, axis, start);
            }

            start += part.Shape[axis];
        }
    }

    private sealed class Node : TapeNode
    {
        public Tensor Part { get; set; } = null!;

        public int Axis { get; set; }

        public long Start { get; set; }

        public override void Backward(ComputeScope scope) =>
            scope.Backend.CopySlice(OutputGrad, Start, scope.GradOf(Part)!, 0, Part.Shape[Axis], Axis, accumulate: true);
    }
}
