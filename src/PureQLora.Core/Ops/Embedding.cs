namespace PureQLora.Core;

/// <summary>Token embeddings: a row of the table for each token id.</summary>
public static class Embedding
{
    /// <summary>Looks token ids up.</summary>
    /// <inheritdoc cref="Gather.Forward"/>
    public static Tensor Forward(ComputeScope scope, Tensor table, Tensor ids) => Gather.Forward(scope, table, ids);
}
