using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Tokens of one forward pass and how they see each other.</summary>
/// <param name="Ids">Int32 [batch, seq]</param>
/// <param name="Positions">Int32 [batch, seq]: where each token stands in its own document.</param>
public readonly record struct ModelInput(Tensor Ids, Tensor Positions)
{
    /// <summary>Int32 [batch, keys]: tokens attend only within their segment; padding is a segment of its own. Null: all of a row is one.</summary>
    public Tensor? Segments { get; init; }

    /// <summary>Keys and values of earlier tokens; the new ones are added to it.</summary>
    public KeyValueCache? Cache { get; init; }

    /// <summary>Recompute each block in backward instead of keeping its intermediate tensors.</summary>
    public bool Checkpoint { get; init; }

    /// <summary>Type in which the activations between checkpointed blocks are kept; BFloat16 halves their memory.</summary>
    public DataType ActivationType { get; init; }

    /// <summary>One row of ids at positions 0, 1, 2, …</summary>
    /// <param name="scope">Owns the tensors.</param>
    /// <param name="ids">Token ids.</param>
    public static ModelInput Single(ComputeScope scope, ReadOnlySpan<int> ids) => Rows(scope, ids, ids.Length);

    /// <summary>Rows of equal length at positions 0, 1, 2, …</summary>
    /// <param name="scope">Owns the tensors.</param>
    /// <param name="ids">[batch · seq], row after row.</param>
    /// <param name="seq">Length of a row.</param>
    public static ModelInput Rows(ComputeScope scope, ReadOnlySpan<int> ids, int seq)
    {
        ArgumentNullException.ThrowIfNull(scope);
        Shape shape = new(ids.Length / seq, seq);
        Span<int> positions = ids.Length <= 1024 ? stackalloc int[ids.Length] : new int[ids.Length];
        for (int i = 0; i < positions.Length; i++)
        {
            positions[i] = i % seq;
        }

        return new ModelInput(scope.From(ids, shape), scope.From(positions, shape));
    }
}
