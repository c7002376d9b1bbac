using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>Causal attention, beside PyTorch's scaled dot-product attention.</summary>
internal sealed class GpuAttentionPart() : GpuPart("attention", "Causal attention in bfloat16, one sequence", 40)
{
    /// <summary>Products of the backward pass for one of the forward pass.</summary>
    private const double BackwardShare = 2.5;

    /// <inheritdoc/>
    public override void Run(GpuWork work)
    {
        (int Heads, int KeyValueHeads, int Dim, int Seq)[] shapes = work.Quick
            ? [(1, 1, 64, 16)]
            : [(32, 32, 128, 1024), (32, 32, 128, 4096), (32, 4, 64, 2048)];
        foreach ((int heads, int keyValueHeads, int dim, int seq) in shapes)
        {
            Measure(work, heads, keyValueHeads, dim, seq);
        }
    }

    private static void Measure(GpuWork work, int heads, int keyValueHeads, int dim, int seq)
    {
        (Shape wide, Shape narrow) = (new(1, seq, heads, dim), new(1, seq, keyValueHeads, dim));
        (Tensor q, Tensor dy) = (work.Random(wide, 1), work.Random(wide, 2));
        (Tensor k, Tensor v) = (work.Random(narrow, 3), work.Random(narrow, 4));
        (Tensor y, Tensor dq, Tensor logSumExp) = (work.New(wide), work.New(wide), work.New(new Shape(1, seq, heads)));
        (Tensor dk, Tensor dv) = (k.ZerosLike(), k.ZerosLike());
        float scale = 1f / MathF.Sqrt(dim);
        double forward = work.Seconds(() => work.Backend.CausalAttentionForward(q, k, v, default, scale, y, logSumExp, Precision.BFloat16));
        double backward = work.Seconds(() => work.Backend.CausalAttentionBackward(
            dy, q, k, v, default, scale, y, logSumExp, new GradientTarget(dq, Accumulate: false), dk, dv, Precision.BFloat16));
        double? theirs = work.Ask("attention", peer => peer.Attention(heads, keyValueHeads, dim, seq, backward: false));
        double? both = work.Ask("attention with gradients", peer => peer.Attention(heads, keyValueHeads, dim, seq, backward: true));
        double flops = 2.0 * seq * seq * heads * dim;
        Add("forward", forward, flops, theirs);
        Add("forward and backward", forward + backward, (1 + BackwardShare) * flops, both);
        foreach (Tensor tensor in new[] { q, k, v, y, dy, dq, dk, dv, logSumExp })
        {
            tensor.Storage.Dispose();
        }

        void Add(string pass, double seconds, double operations, double? peer) => work.Report(GpuRow.Of(
            $"{pass}, {heads} heads of {dim} on {keyValueHeads}, {seq} tokens",
            ("ms", 1e3 * seconds),
            ("TFLOP/s", operations / seconds / 1e12),
            ("PyTorch ms", Milliseconds(peer)),
            ("% of PyTorch", Percent(peer / seconds))));
    }
}
