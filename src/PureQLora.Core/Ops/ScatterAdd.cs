namespace PureQLora.Core;

/// <summary>Adds rows at indices of a zero matrix: y[ids[i]] += x[i].</summary>
public static class ScatterAdd
{
    /// <summary>Sums rows by index.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[…, width], Float32, a row for each id.</param>
    /// <param name="ids">Int32, as many as x has rows.</param>
    /// <param name="rows">Rows of the result.</param>
    /// <returns>[rows, width]</returns>
    /// <exception cref="ArgumentException">The counts differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is not 0 … rows − 1.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor x, Tensor ids, long rows)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(ids);
        if (x.Shape.Rows != ids.Shape.Count)
        {
            throw new ArgumentException($"{x.Shape} has {x.Shape.Rows} rows for {ids.Shape.Count} ids; there must be one each.", nameof(ids));
        }

        Tensor y = scope.Zeros(new Shape(rows, x.Shape.Columns));
        scope.Backend.ScatterAddRows(x, ids, y);
        if (scope.Tracks(y, x, ids))
        {
            Node node = scope.Record<Node>(y);
            (node.X, node.Ids) = (x, ids);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor X { get; set; } = null!;

        public Tensor Ids { get; set; } = null!;

        public override void Backward(ComputeScope scope)
        {
            Tensor rows = scope.New(X.Shape);
            scope.Backend.GatherRows(OutputGrad, Ids, rows);
            scope.Backend.AddScaled(rows, 1f, scope.GradOf(X)!);
        }
    }
}
