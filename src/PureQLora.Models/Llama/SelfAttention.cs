using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Grouped-query self-attention with rotary positions: projections, optional norms on q and k, attention, output.</summary>
public sealed class SelfAttention
{
    private readonly LlamaConfig _config;
    private readonly int _layer;

    internal SelfAttention(LlamaConfig config, int layer, LinearLayer query, LinearLayer key, LinearLayer value, LinearLayer output)
    {
        (_config, _layer) = (config, layer);
        (Query, Key, Value, Output) = (query, key, value, output);
    }

    /// <summary>q_proj.</summary>
    public LinearLayer Query { get; }

    /// <summary>k_proj.</summary>
    public LinearLayer Key { get; }

    /// <summary>v_proj.</summary>
    public LinearLayer Value { get; }

    /// <summary>o_proj.</summary>
    public LinearLayer Output { get; }

    /// <summary>RMS norm of each query head before rotation, [headDim] (Qwen3), or null.</summary>
    public Tensor? QueryNorm { get; internal set; }

    /// <summary>RMS norm of each key head before rotation, [headDim] (Qwen3), or null.</summary>
    public Tensor? KeyNorm { get; internal set; }

    /// <summary>Attention over the tokens of x and, with a cache, those before them.</summary>
    /// <param name="scope">The pass.</param>
    /// <param name="x">[batch, seq, hidden]</param>
    /// <param name="context">Positions, segments, cache.</param>
    /// <returns>[batch, seq, hidden]</returns>
    public Tensor Forward(ComputeScope scope, Tensor x, BlockContext context) => Output.Forward(scope, Mix(scope, x, context));

    /// <summary>What o_proj takes: the values as the heads mix them. [batch, seq, heads · headDim]</summary>
    internal Tensor Mix(ComputeScope scope, Tensor x, BlockContext context)
    {
        (long batch, long seq, int headDim) = (x.Shape[0], x.Shape[1], _config.HeadDim);
        Shape queryHeads = new(batch, seq, _config.Heads, headDim);
        Shape keyHeads = new(batch, seq, _config.KeyValueHeads, headDim);
        Tensor q = Reshape.Forward(scope, Query.Forward(scope, x), queryHeads);
        Tensor k = Reshape.Forward(scope, Key.Forward(scope, x), keyHeads);
        Tensor v = Reshape.Forward(scope, Value.Forward(scope, x), keyHeads);
        if (QueryNorm is not null && KeyNorm is not null)
        {
            q = RmsNorm.Forward(scope, q, QueryNorm, (float)_config.RmsNormEpsilon);
            k = RmsNorm.Forward(scope, k, KeyNorm, (float)_config.RmsNormEpsilon);
        }

        q = RotaryEmbedding.Forward(scope, q, context.Positions, context.Rotary);
        k = RotaryEmbedding.Forward(scope, k, context.Positions, context.Rotary);
        AttentionMask mask = new() { Window = _config.SlidingWindows[_layer], Segments = context.Segments };
        if (context.Cache is { } cache)
        {
            (k, v) = cache.Append(scope, _layer, k, v);
            mask = mask with { KeyCount = cache.Length + seq };
        }

        Tensor mixed = CausalAttention.Forward(scope, q, k, v, mask, 1f / MathF.Sqrt(headDim));
        return Reshape.Forward(scope, mixed, new Shape(batch, seq, (long)_config.Heads * headDim));
    }
}
