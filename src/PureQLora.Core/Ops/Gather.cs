namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Gather"/>, <see cref="ScatterAdd"/> and <see cref="Embedding"/>.</summary>
public interface IGatherKernels
{
    /// <summary>y[i] = table[ids[i]], or y[i] += that: rows of the first axis, widened to float32.</summary>
    /// <param name="table">[n, …], any floating type.</param>
    /// <param name="ids">Int32, one for each row of y.</param>
    /// <param name="y">Float32, ids · row elements.</param>
    /// <param name="accumulate">Add to y; the table must be Float32.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside 0 … n − 1; nothing has been written.</exception>
    void GatherRows(Tensor table, Tensor ids, Tensor y, bool accumulate);

    /// <summary>table[ids[i]] += updates[i], in the order of i.</summary>
    /// <param name="updates">Float32, ids · row elements.</param>
    /// <param name="ids">Int32.</param>
    /// <param name="table">Float32, [n, …].</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside 0 … n − 1; nothing has been written.</exception>
    void ScatterAddRows(Tensor updates, Tensor ids, Tensor table);
}

/// <summary>Picks rows of the first axis by index: y[i…] = table[ids[i…]].</summary>
public static class Gather
{
    /// <summary>One row of the table for every id.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="table">[n, …]: Float32, BFloat16 or Float16.</param>
    /// <param name="ids">Int32, any shape; an id may occur more than once.</param>
    /// <returns>Float32, the shape of ids followed by the shape of a row.</returns>
    /// <exception cref="ArgumentException">Types are wrong, or the result would have more than four axes.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside 0 … n − 1.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor table, Tensor ids)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(table);
        ArgumentNullException.ThrowIfNull(ids);
        if (ids.DataType != DataType.Int32 || !table.DataType.IsFloating())
        {
            throw new ArgumentException($"Rows are picked from a floating table by Int32 ids, these are {table} and {ids}.", nameof(ids));
        }

        Tensor y = scope.New(Result(table.Shape, ids.Shape));
        scope.Backend.GatherRows(table, ids, y, accumulate: false);
        if (scope.Tracks(y, table))
        {
            Node node = scope.Record<Node>(y);
            (node.Table, node.Ids) = (table, ids);
        }

        return y;
    }

    internal static Shape Result(Shape table, Shape ids)
    {
        int rank = ids.Rank + table.Rank - 1;
        if (rank > 4)
        {
            throw new ArgumentException($"Rows of {table} picked by ids of {ids} would have {rank} axes, allowed 1–4; reshape one of them first.", nameof(ids));
        }

        Span<long> extents = stackalloc long[rank];
        for (int i = 0; i < rank; i++)
        {
            extents[i] = i < ids.Rank ? ids[i] : table[i - ids.Rank + 1];
        }

        return new Shape(extents);
    }

    private sealed class Node : TapeNode
    {
        public Tensor Table { get; set; } = null!;

        public Tensor Ids { get; set; } = null!;

        public override void Backward(ComputeScope scope) => scope.Backend.ScatterAddRows(OutputGrad, Ids, scope.GradOf(Table)!);
    }
}
