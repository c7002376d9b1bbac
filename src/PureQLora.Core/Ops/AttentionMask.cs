namespace PureQLora.Core;

/// <summary>
/// Which keys a query of <see cref="CausalAttention"/> sees: never a later one, and what these properties leave. The default is plain
/// causal attention over all keys.
/// </summary>
public readonly record struct AttentionMask
{
    /// <summary>Sliding window: a query sees keys with 0 ≤ queryIndex − keyIndex &lt; Window; null sees all earlier keys.</summary>
    public int? Window { get; init; }

    /// <summary>
    /// Int32 [batch, key count or more]: a key is visible to a query only if both have the same number. Documents of a packed sequence
    /// have a number each; padding, on either side, has one of its own (−1). Null is one segment.
    /// </summary>
    public Tensor? Segments { get; init; }

    /// <summary>Valid entries at the start of longer key and value buffers, the queries' own included; null takes all.</summary>
    public long? KeyCount { get; init; }
}
