namespace PureQLora.Core;

/// <summary>What a backend must provide for <see cref="CausalAttention"/>.</summary>
public interface ICausalAttentionKernels
{
    /// <summary>y = softmax(scale · q kᵀ + mask) v for each head; logSumExp = log Σ exp(scale · q kᵀ + mask) of each query.</summary>
    /// <param name="q">[batch, seq, heads, headDim]</param>
    /// <param name="k">[batch, keys, kvHeads, headDim]</param>
    /// <param name="v">[batch, keys, kvHeads, headDim]</param>
    /// <param name="mask">Visible keys.</param>
    /// <param name="scale">Multiplies the scores.</param>
    /// <param name="y">[batch, seq, heads, headDim]</param>
    /// <param name="logSumExp">[batch, heads, seq], kept for backward.</param>
    /// <param name="precision">
    /// BFloat16 rounds what is multiplied: scale · q, k, v and the probabilities, those before their division by their sum. Scores,
    /// softmax and sums are float32. A pass of a few queries over a cache reads memory more than it multiplies and is float32 anyway.
    /// </param>
    void CausalAttentionForward(Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale, Tensor y, Tensor logSumExp, Precision precision);

    /// <summary>
    /// With p = exp(scale · q kᵀ − logSumExp), dp = dy vᵀ and ds = p ∘ (dp − rowsum(dy ∘ y)): dq += scale · ds k (or dq = …),
    /// dk += scale · dsᵀ q, dv += pᵀ dy; dk and dv sum over the heads of a group. BFloat16 rounds scale · q, k, v, dy, p and ds.
    /// </summary>
    void CausalAttentionBackward(
        Tensor dy, Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale, Tensor y, Tensor logSumExp, GradientTarget dq, Tensor? dk, Tensor? dv, Precision precision);
}

/// <summary>
/// Causal softmax attention with grouped queries: head h attends to key-value head h / (heads / kvHeads). It keeps the output and one
/// number a query, so memory is linear in the sequence; backward recomputes the probabilities tile by tile.
/// </summary>
/// <remarks>
/// Dao, arXiv:2307.08691, algorithms 1 and 2 (FlashAttention-2); grouped queries: Ainslie et al., arXiv:2305.13245; window: Beltagy
/// et al., arXiv:2004.05150, section 3.1.
/// </remarks>
public static class CausalAttention
{
    /// <summary>
    /// Attends from the last seq of the valid keys: query i has index KeyCount − seq + i and sees itself and earlier keys within its
    /// window and segment.
    /// </summary>
    /// <param name="scope">The pass; its precision rounds the operands of the products.</param>
    /// <param name="q">[batch, seq, heads, headDim]</param>
    /// <param name="k">[batch, keys, kvHeads, headDim], keys ≥ seq, heads a multiple of kvHeads.</param>
    /// <param name="v">The shape of k.</param>
    /// <param name="mask">Visible keys.</param>
    /// <param name="scale">Multiplies the scores, usually 1 / sqrt(headDim).</param>
    /// <returns>[batch, seq, heads, headDim]</returns>
    /// <exception cref="ArgumentException">Shapes do not fit each other or the mask.</exception>
    public static Tensor Forward(ComputeScope scope, Tensor q, Tensor k, Tensor v, AttentionMask mask, float scale)
    {
        ArgumentNullException.ThrowIfNull(scope);
        ArgumentNullException.ThrowIfNull(q);
        ArgumentNullException.ThrowIfNull(k);
        ArgumentNullException.ThrowIfNull(v);
        CheckShapes(q.Shape, k.Shape, v.Shape);
        CheckMask(q.Shape, k.Shape, mask);

        Tensor y = scope.New(q.Shape);                                                       // [batch, seq, heads, headDim]
        Tensor logSumExp = scope.New(new Shape(q.Shape[0], q.Shape[2], q.Shape[1]));         // [batch, heads, seq]
        scope.Backend.CausalAttentionForward(q, k, v, mask, scale, y, logSumExp, scope.Precision);
        if (scope.Tracks(y, q, k, v, mask.Segments))
        {
            Node node = scope.Record<Node>(y);
            (node.Q, node.K, node.V, node.Mask, node.Scale, node.LogSumExp) = (q, k, v, mask, scale, logSumExp);
        }

        return y;
    }

    private static void CheckShapes(Shape q, Shape k, Shape v)
    {
        if (q.Rank != 4 || k.Rank != 4 || k[0] != q[0] || k[3] != q[3] || k[2] == 0 || q[2] % k[2] != 0 || k[1] > int.MaxValue)
        {
            throw new ArgumentException(
                $"Keys are {k} for queries {q}; needed are [batch, seq, heads, headDim] and [batch, keys, kvHeads, headDim] with heads a multiple of kvHeads.", nameof(k));
        }

        if (v != k)
        {
            throw new ArgumentException($"Values are {v} but keys are {k}; they must be equal.", nameof(v));
        }
    }

    private static void CheckMask(Shape q, Shape k, AttentionMask mask)
    {
        long keyCount = mask.KeyCount ?? k[1];
        if (keyCount < q[1] || keyCount > k[1])
        {
            throw new ArgumentException(
                $"The key count is {keyCount}, allowed {q[1]}–{k[1]}: every query's own key is among the keys.", nameof(mask));
        }

        if (mask.Window is < 1)
        {
            throw new ArgumentException($"The attention window is {mask.Window}, allowed from 1 up; leave it out for full attention.", nameof(mask));
        }

        if (mask.Segments is { } segments && (segments.Shape.Rank != 2 || segments.Shape[0] != q[0] || segments.Shape[1] < keyCount))
        {
            throw new ArgumentException($"Segments are {segments.Shape}, needed [{q[0]}, {keyCount} or more].", nameof(mask));
        }
    }

    private sealed class Node : TapeNode
    {
        public Tensor Q { get; set; } = null!;

        public Tensor K { get; set; } = null!;

        public Tensor V { get; set; } = null!;

        public AttentionMask Mask { get; set; }

        public float Scale { get; set; }

        public Tensor LogSumExp { get; set; } = null!;

        public override void Backward(ComputeScope scope) => scope.Backend.CausalAttentionBackward(
            OutputGrad, Q, K, V, Mask, Scale, Output, LogSumExp, scope.GradTargetOf(Q), scope.GradOf(K), scope.GradOf(V), scope.Precision);
    }
}
