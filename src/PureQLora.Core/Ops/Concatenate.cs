namespace PureQLora.Core;

/// <summary>Tensors laid behind each other along one dimension; copies.</summary>
public static class Concatenate
{
    /// <summary>Lays tensors behind each other.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="axis">Negative counts from the end.</param>
    /// <param name="parts">At least one; equal but for the extent of the axis, and of one type.</param>
    /// <exception cref="ArgumentException">None, or they do not fit.</exception>
    public static Tensor Forward(ComputeScope scope, int axis, params ReadOnlySpan<Tensor> parts)
    {
        ArgumentNullException.ThrowIfNull(scope);
        if (parts.IsEmpty)
        {
            throw new ArgumentException("There is nothing to concatenate; give at least one tensor.", nameof(parts));
        }

        Tensor first = parts[0];
        axis = first.Shape.Axis(axis);
        long extent = 0;
        foreach (Tensor part in parts)
        {
            if (part.DataType != first.DataType || part.Shape.Rank != first.Shape.Rank || part.Shape.With(axis, 0) != first.Shape.With(axis, 0))
            {
                throw new ArgumentException($"{part} cannot be laid behind {first} along dimension {axis}: type and other extents must be equal.", nameof(parts));
            }

            extent += part.Shape[axis];
        }

        Tensor y = scope.New(first.Shape.With(axis, extent), first.DataType);
        long start = 0;
        foreach (Tensor part in parts)
        {
            scope.Backend.CopySlice(part, 0, y, start, part.Shape[axis], axis, accumulate: false);
            start += part.Shape[axis];
        }

        if (scope.Tracks(y, parts!))
        {
            Node node = scope.Record<Node>(y);
            node.Axis = axis;
            node.Parts.Clear();
            foreach (Tensor part in parts)
            {
                node.Parts.Add(part);
            }
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public List<Tensor> Parts { get; } = [];

        public int Axis { get; set; }

        public override void Backward(ComputeScope scope)
        {
            long start = 0;
            foreach (Tensor part in Parts)
            {
                if (scope.GradOf(part) is { } gradient)
                {
                    scope.Backend.CopySlice(OutputGrad, start, gradient, 0, part.Shape[Axis], Axis, accumulate: true);
                }

                start += part.Shape[Axis];
            }
        }
    }
}
