namespace PureQLora.Core;

/// <summary>Adds rows to the rows of a tensor that ids name; the reverse of <see cref="Gather"/>. Ids that repeat add up, in order.</summary>
public static class ScatterAdd
{
    /// <summary>y = x, then y[ids[i]] += updates[i] for i in order.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[n, …]; not changed.</param>
    /// <param name="ids">Int32, any shape.</param>
    /// <param name="updates">The shape of ids followed by the shape of a row of x.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ArgumentException">Shapes or types do not go together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside 0 … n − 1.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, Tensor ids, Tensor updates)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentNullException.ThrowIfNull(updates);
        if (ids.DataType != DataType.Int32)
        {
            throw new ArgumentException($"Ids are Int32, these are {ids}.", nameof(ids));
        }

        if (updates.Shape != Gather.Result(x.Shape, ids.Shape))
        {
            throw new ArgumentException(
                $"Updates are {updates.Shape}, but ids of {ids.Shape} into {x.Shape} take {Gather.Result(x.Shape, ids.Shape)}.", nameof(updates));
        }

        Tensor y = scope.New(x.Shape);
        scope.Backend.CopySlice(x, 0, y, 0, x.Shape[0], 0, accumulate: false);
        scope.Backend.ScatterAddRows(updates, ids, y);
        if (scope.Tracks(y, x, updates))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Ids, node.Updates) = (x, ids, updates);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public Tensor Ids { get; set; } = null!;

        public Tensor Updates { get; set; } = null!;

        public override void Backward(ComputeScope scope)
        {
            if (scope.GradOf(X) is { } dx)
            {
                scope.Backend.AddScaled(OutputGrad, 1f, dx);
            }

            if (scope.GradOf(Updates) is { } dUpdates)
            {
                scope.Backend.GatherRows(OutputGrad, Ids, dUpdates, accumulate: true);
            }
        }
    }
}
