namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="Gather"/> and <see cref="Embedding"/>.</summary>
public interface IGatherKernels
{
    /// <summary>y[i] = table[ids[i]], a row each.</summary>
    /// <param name="table">[n, …], any floating type.</param>
    /// <param name="ids">Int32.</param>
    /// <param name="y">Float32, a row for each id.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is not 0 … n − 1; nothing is written.</exception>
    void GatherRows(Tensor table, Tensor ids, Tensor y);

    /// <summary>table[ids[i]] += x[i], in the order of i.</summary>
    /// <param name="x">Float32, a row for each id.</param>
    /// <param name="ids">Int32.</param>
    /// <param name="table">Float32 [n, …].</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is not 0 … n − 1; nothing is written.</exception>
    void ScatterAddRows(Tensor x, Tensor ids, Tensor table);
}

/// <summary>Rows of a table by index: y[i] = table[ids[i]].</summary>
public static class Gather
{
    /// <summary>Looks rows up.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="table">[n, width], any floating type; the gradient reaches a Float32 table.</param>
    /// <param name="ids">Int32, any shape of up to three dimensions.</param>
    /// <returns>[ids…, width], Float32.</returns>
    /// <exception cref="ArgumentException">The table is no matrix.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is not 0 … n − 1.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor table, Tensor ids)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(table);
        ArgumentNullException.ThrowIfNull(ids);
        if (table.Shape.Rank != 2 || ids.Shape.Rank > 3)
        {
            throw new ArgumentException($"Rows of {table.Shape} by ids {ids.Shape}: the table must be a matrix and the ids have at most three dimensions.", nameof(table));
        }

        Span<long> extents = stackalloc long[ids.Shape.Rank + 1];
        ids.Shape.CopyTo(extents);
        extents[^1] = table.Shape[1];
        Tensor y = scope.New(new Shape(extents));
        scope.Backend.GatherRows(table, ids, y);
        if (scope.Tracks(y, table, ids))
        {
            Node node = scope.Record<Node>(y);
            (node.Table, node.Ids) = (table, ids);
        }

        return y;
    }

    private sealed class Node : TapeNode
    {
        public Tensor Table { get; set; } = null!;

        public Tensor Ids { get; set; } = null!;

        public override void Backward(ComputeScope scope) => scope.Backend.ScatterAddRows(OutputGrad, Ids, scope.GradOf(Table)!);
    }
}
