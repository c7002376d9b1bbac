using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>What happens inside rotary embedding and the first block, step by step, against float64 truth from transformers.</summary>
public sealed class GoldenInternalsTests : IDisposable
{
    private readonly CpuBackend _backend = new(threads: 2);

    public static TheoryData<string> Models => [.. GoldenModel.Names];

    public void Dispose() => _backend.Dispose();

    [Theory]
    [MemberData(nameof(Models))]
    public void Rotary_GivenAGoldenModel_ShouldMatchTransformers(string name)
    {
        using GoldenModel golden = new(name);
        using ComputeScope scope = new(_backend);
        RotaryTable table = golden.Model.Context(golden.Input(scope)).Rotary;
        CheckTable(golden, "rope.cos", table.Cos);
        CheckTable(golden, "rope.sin", table.Sin);
    }

    [Theory]
    [InlineData("llama-mha")]
    [InlineData("qwen3")]
    public void FirstBlock_GivenAGoldenModel_ShouldMatchTransformersStepByStep(string name)
    {
        using GoldenModel golden = new(name);
        using ComputeScope scope = new(_backend);
        ModelInput input = golden.Input(scope);
        (LlamaConfig config, BlockContext context, DecoderBlock block) = (golden.Model.Config, golden.Model.Context(input), golden.Model.Blocks[0]);
        (long batch, long seq, float epsilon) = (input.Ids.Shape[0], input.Ids.Shape[1], (float)config.RmsNormEpsilon);
        HashSet<string> seen = [];
        void Check(string key, float[] actual)
        {
            seen.Add($"block0.{key}");
            golden.Tolerances.Check("block0", golden.Values.Floats($"block0.{key}"), actual, key);
        }

        Tensor x = golden.Model.Embed(scope, input);
        Tensor normed = RmsNorm.Forward(scope, x, block.InputNorm, epsilon);
        Check("input_norm", normed.ToArray());
        Tensor Heads(Tensor projected, int heads) => Reshape.Forward(scope, projected, new Shape(batch, seq, heads, config.HeadDim));
        Tensor q = Heads(block.Attention.Query.Forward(scope, normed), config.Heads);
        Tensor k = Heads(block.Attention.Key.Forward(scope, normed), config.KeyValueHeads);
        Tensor v = Heads(block.Attention.Value.Forward(scope, normed), config.KeyValueHeads);
        Check("q", q.ToArray());
        Check("k", k.ToArray());
        Check("v", v.ToArray());
        if (block.Attention is { QueryNorm: { } queryNorm, KeyNorm: { } keyNorm })
        {
            q = RmsNorm.Forward(scope, q, queryNorm, epsilon);
            k = RmsNorm.Forward(scope, k, keyNorm, epsilon);
            Check("q_norm", q.ToArray());
            Check("k_norm", k.ToArray());
        }

        q = RotaryEmbedding.Forward(scope, q, context.Positions, context.Rotary);
        k = RotaryEmbedding.Forward(scope, k, context.Positions, context.Rotary);
        Check("q_rope", HeadsFirst(q));
        Check("k_rope", HeadsFirst(k));
        float scale = 1f / MathF.Sqrt(config.HeadDim);
        Check("attn_weights", AttentionWeights(scope, q, k, scale));
        Tensor mixed = CausalAttention.Forward(scope, q, k, v, default, scale);
        Check("attn_out", mixed.ToArray());
        Tensor attended = Binary.Add(scope, x, block.Attention.Output.Forward(scope, Reshape.Forward(scope, mixed, new Shape(batch, seq, config.Heads * config.HeadDim))));
        Tensor postNorm = RmsNorm.Forward(scope, attended, block.PostAttentionNorm, epsilon);
        Check("post_norm", postNorm.ToArray());
        (Tensor gate, Tensor up) = (block.FeedForward.Gate.Forward(scope, postNorm), block.FeedForward.Up.Forward(scope, postNorm));
        Check("gate", gate.ToArray());
        Check("up", up.ToArray());
        Check("silu_up", SwiGlu.Forward(scope, gate, up).ToArray());

        Assert.Equal(golden.Values.Names.Where(key => key.StartsWith("block0.", StringComparison.Ordinal)).Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
    }

    /// <summary>transformers keeps each angle twice, for both halves of a head.</summary>
    private static void CheckTable(GoldenModel golden, string key, Tensor table)
    {
        (int positions, int headDim) = ((int)golden.Values.Shape(key)[0], (int)golden.Values.Shape(key)[1]);
        Assert.Equal(headDim, 2 * table.Shape[1]);
        float[] twice = [.. table.ToArray().Chunk(headDim / 2).Take(positions).SelectMany(row => row.Concat(row))];
        golden.Tolerances.Check("rope", golden.Values.Floats(key), twice, key);
    }

    /// <summary>[batch, seq, heads, headDim] → [batch, heads, seq, headDim].</summary>
    private static float[] HeadsFirst(Tensor x)
    {
        float[] values = x.ToArray();
        float[] moved = new float[values.Length];
        (int batch, int seq, int heads, int dim) = ((int)x.Shape[0], (int)x.Shape[1], (int)x.Shape[2], (int)x.Shape[3]);
        for (int from = 0; from < values.Length; from += dim)
        {
            (int head, int at, int row) = (from / dim % heads, from / dim / heads % seq, from / dim / heads / seq);
            values.AsSpan(from, dim).CopyTo(moved.AsSpan(((((row * heads) + head) * seq) + at) * dim));
        }

        Assert.Equal(batch * seq * heads * dim, moved.Length);
        return moved;
    }

    /// <summary>
    /// The fused operation keeps no weights, but where the values are rows of the identity, its output is the weights: headDim keys at a time.
    /// </summary>
    private static float[] AttentionWeights(ComputeScope scope, Tensor q, Tensor k, float scale)
    {
        (int batch, int seq, int heads, int dim) = ((int)q.Shape[0], (int)q.Shape[1], (int)q.Shape[2], (int)q.Shape[3]);
        int keyHeads = (int)k.Shape[2];
        float[] weights = new float[batch * heads * seq * seq];
        for (int first = 0; first < seq; first += dim)
        {
            float[] identity = new float[batch * seq * keyHeads * dim];
            for (int row = 0; row < batch * seq * keyHeads; row++)
            {
                int key = row / keyHeads % seq;
                if (key >= first && key < first + dim)
                {
                    identity[(row * dim) + key - first] = 1;
                }
            }

            float[] part = HeadsFirst(CausalAttention.Forward(scope, q, k, scope.From(identity, k.Shape), default, scale));
            for (int row = 0; row < batch * heads * seq; row++)
            {
                part.AsSpan(row * dim, Math.Min(dim, seq - first)).CopyTo(weights.AsSpan((row * seq) + first));
            }
        }

        return weights;
    }
}
