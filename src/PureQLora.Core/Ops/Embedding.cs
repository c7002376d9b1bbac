namespace PureQLora.Core;

/// <summary>Vectors of tokens: <see cref="Gather"/> under the name it has in a language model, on the same kernels.</summary>
public static class Embedding
{
    /// <summary>y[…, :] = table[ids[…], :].</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="table">[vocabulary, hidden]: Float32 if it is trained, else also BFloat16 or Float16.</param>
    /// <param name="ids">Int32, [batch, sequence] or any other shape of up to three axes.</param>
    /// <returns>Float32, [batch, sequence, hidden].</returns>
    /// <exception cref="ArgumentException">The table is no matrix, or types are wrong.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the vocabulary.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor table, Tensor ids)
    {
        ArgumentNullException.ThrowIfNull(table);
        return table.Shape.Rank == 2
            ? Gather.Forward(scope, table, ids)
            : throw new ArgumentException($"An embedding table is [vocabulary, hidden], this one is {table.Shape}; ids are {ids?.Shape}.", nameof(table));
    }
}
