using PureQLora.Core;

namespace PureQLora.Kernels.Tests;

/// <summary>
/// Against the CPU engine, which rounds to bfloat16 where the kernels do. In float32 what is left are the orders of sums and approximate
/// exponentials: 1e-5, more for gradients, whose terms cancel. In bfloat16 a probability may round to the neighbour, since it is rounded
/// before it is divided and maxima are found tile by tile: 2^-8 of the values, which are below 1.
/// </summary>
public sealed class CausalAttentionKernelsTests : KernelTest
{
    /// <remarks>Batch, sequence, key count, capacity, heads, key-value heads, dimension, window (0 is none), segment pattern.</remarks>
    [Theory]
    [InlineData(1, 2, 6, 7, 2, 1, 5, 3, "left")]
    [FastData(2, 3, 12, 14, 4, 2, 5, 4, "left")]
    [FastData(1, 1, 300, 310, 4, 1, 24, 0, "none")]      // decoding, every warp has keys
    [FastData(2, 1, 40, 40, 2, 2, 64, 33, "left")]      // … most have none
    [FastData(1, 67, 67, 67, 4, 2, 24, 0, "packed")]
    [FastData(2, 40, 45, 50, 2, 1, 8, 8, "right")]
    [FastData(1, 9, 9, 9, 1, 1, 80, 0, "none")]
    [FastData(1, 9, 9, 9, 1, 1, 200, 0, "none")]
    public void CausalAttention_GivenFloat32_ShouldMatchTheCpu(
        int batch, int sequence, int keyCount, int capacity, int heads, int kvHeads, int headDim, int window, string segments) =>
        CheckBothWays(Precision.Float32, new Shape(batch, sequence, heads, headDim), new Shape(batch, capacity, kvHeads, headDim), Mask(batch, keyCount, window, segments), 1e-5, 3e-5);

    [Theory]
    [InlineData(1, 5, 5, 5, 2, 1, 4, 0, "none")]      // ten rows, five keys: a tile, mostly padding
    [FastData(1, 70, 70, 70, 2, 1, 24, 0, "none")]      // more than one tile both ways, two heads in each
    [FastData(2, 35, 71, 75, 4, 2, 64, 20, "none")]      // a window; keys that no query sees
    [FastData(1, 130, 130, 130, 1, 1, 16, 0, "packed")]
    [FastData(2, 40, 45, 50, 2, 1, 80, 0, "left")]
    [FastData(1, 33, 97, 97, 1, 1, 128, 8, "right")]
    public void CausalAttention_GivenBFloat16_ShouldMatchTheCpu(
        int batch, int sequence, int keyCount, int capacity, int heads, int kvHeads, int headDim, int window, string segments) =>
        CheckBothWays(Precision.BFloat16, new Shape(batch, sequence, heads, headDim), new Shape(batch, capacity, kvHeads, headDim), Mask(batch, keyCount, window, segments), 1.0 / 256, 1.0 / 256);

#if !ILGPU
    [Theory]
    [InlineData(64)]
    [InlineData(128)]
    public void CausalAttention_GivenWholeTiles_ShouldHaveNoBankConflicts(int headDim)
    {
        Tensor x = Device(Host(new(1, 64, 1, headDim), 1));
        (Tensor y, Tensor logSumExp, Tensor dx) = (Unwritten(x.Shape), Unwritten(new(1, 1, 64)), Device(Host(x.Shape, 2)));

        Gpu.CausalAttentionForward(x, x, x, default, 0.1f, y, logSumExp, Precision.BFloat16);

        Assert.Equal(0, LastLaunch.BankConflicts);
        foreach ((Tensor? dq, Tensor? dk, Tensor? dv) in new[] { (dx, null, null), (null, dx, null), ((Tensor?)null, (Tensor?)null, (Tensor?)dx) })
        {
            Gpu.CausalAttentionBackward(x, x, x, x, default, 0.1f, y, logSumExp, new(dq, Accumulate: true), dk, dv, Precision.BFloat16);
            Assert.Equal(0, LastLaunch.BankConflicts);
        }
    }

    [Fact]
    public void CausalAttention_GivenPackedDocuments_ShouldLeaveOutTheOthers()
    {
        Tensor x = Device(Host(new(1, 128, 1, 16), 1));
        (Tensor y, Tensor logSumExp, Tensor dx) = (Unwritten(x.Shape), Unwritten(new(1, 1, 128)), Device(Host(x.Shape, 2)));
        AttentionMask two = new() { Segments = Device(Tensor.From([.. Enumerable.Range(0, 128).Select(i => i / 64)], new Shape(1, 128))) };

        long Barriers(AttentionMask mask, bool backward)
        {
            Gpu.CausalAttentionForward(x, x, x, mask, 0.1f, y, logSumExp, Precision.BFloat16);
            if (backward)
            {
                Gpu.CausalAttentionBackward(x, x, x, x, mask, 0.1f, y, logSumExp, default, dx, null, Precision.BFloat16);
            }

            return LastLaunch.GroupBarriers;
        }

        // One barrier a tile: two of six are left out, and each of the two groups needs two barriers to find that.
        Assert.Equal(Barriers(default, false) - 2 + 4, Barriers(two, false));
        Assert.Equal(Barriers(default, true) - 2 + 4, Barriers(two, true));
    }
#endif

    [Theory]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(false, false, true)]
    public void CausalAttention_GivenOneTarget_ShouldWriteItAlone(bool wantsQ, bool wantsK, bool wantsV)
    {
        Shape shape = new(1, 3, 1, 4);
        (Tensor q, Tensor k, Tensor v, Tensor dy) = (Host(shape, 1), Host(shape, 2), Host(shape, 3), Host(shape, 4));
        (Tensor y, Tensor logSumExp) = (Tensor.Create(shape), Tensor.Create(new(1, 1, 3)));
        (Tensor dq, Tensor dk, Tensor dv) = (Tensor.Create(shape), Host(shape, 5), Host(shape, 6));
        (Tensor gpuDq, Tensor gpuDk, Tensor gpuDv) = (Unwritten(shape), Device(dk), Device(dv));
        Cpu.CausalAttentionForward(q, k, v, default, 0.5f, y, logSumExp, Precision.Float32);
        Cpu.CausalAttentionBackward(dy, q, k, v, default, 0.5f, y, logSumExp, new(wantsQ ? dq : null, false), wantsK ? dk : null, wantsV ? dv : null, Precision.Float32);

        Gpu.CausalAttentionBackward(
            Device(dy), Device(q), Device(k), Device(v), default, 0.5f, Device(y), Device(logSumExp),
            new(wantsQ ? gpuDq : null, false), wantsK ? gpuDk : null, wantsV ? gpuDv : null, Precision.Float32);

        if (wantsQ)
        {
            Close(dq, gpuDq);
        }

        Close(dk, gpuDk);
        Close(dv, gpuDv);
    }

    [Theory]
    [InlineData(Precision.Float32, 1)]
    [InlineData(Precision.BFloat16, 9)]
    public void CausalAttention_GivenNaN_ShouldShowIt(Precision precision, int heads)
    {
        Tensor k = Host(new(1, 5, 1, 4), 2);
        k.Floats[9] = float.NaN;
        (Tensor q, Tensor y) = (Host(new(1, 3, heads, 4), 1), Unwritten(new(1, 3, heads, 4)));

        Gpu.CausalAttentionForward(Device(q), Device(k), Device(Host(k.Shape, 3)), default, 1f, y, Unwritten(new(1, heads, 3)), precision);

        Assert.All(y.ToArray(), value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void CausalAttention_GivenNoBatch_ShouldDoNothing()
    {
        Tensor empty = Unwritten(new(0, 3, 1, 4));

        Gpu.CausalAttentionForward(empty, empty, empty, default, 1f, empty, Unwritten(new(0, 1, 3)), Precision.BFloat16);
    }

    [Fact]
    public void CausalAttention_GivenTooLargeAHead_ShouldSayWhatIsAllowed()
    {
        Tensor x = Device(Host(new(1, 1, 1, 257), 1));

        ArgumentException error = Assert.Throws<ArgumentException>(() => Gpu.CausalAttentionForward(x, x, x, default, 1f, x, x, Precision.Float32));

        Assert.Contains("257 dimensions, a GPU allows 1–256", error.Message, StringComparison.Ordinal);
    }

    private static AttentionMask Mask(int batch, int keyCount, int window, string segments) => new()
    {
        KeyCount = keyCount,
        Window = window == 0 ? null : window,
        Segments = segments == "none" ? null : Tensor.From(Segments(segments, batch, keyCount + 2), new Shape(batch, keyCount + 2)),
    };

    private static int[] Segments(string pattern, int batch, int length) => [.. Enumerable.Range(0, batch * length).Select(i => pattern switch
    {
        "packed" => (i % length * 7 / length) + (i / length),
        "left" => i % length < length / 3 ? -1 : 0,
        _ => i % length >= length * 2 / 3 ? -1 : 0,
    })];

    /// <summary>What the mask hides from all, the entries past the key count, is NaN: reading it would show.</summary>
    private static Tensor Buffer(Shape shape, AttentionMask mask, int seed)
    {
        Tensor buffer = Host(shape, seed);
        int row = (int)(shape[2] * shape[3]);
        for (int b = 0; b < shape[0]; b++)
        {
            buffer.Floats.Slice(((b * (int)shape[1]) + (int)mask.KeyCount!) * row, ((int)shape[1] - (int)mask.KeyCount!) * row).Fill(float.NaN);
        }

        return buffer;
    }

    private void CheckBothWays(Precision precision, Shape queries, Shape keys, AttentionMask mask, double tolerance, double gradientTolerance)
    {
        float scale = 3f / MathF.Sqrt(queries[3]);
        (Tensor q, Tensor k, Tensor v, Tensor dy) = (Host(queries, 1), Buffer(keys, mask, 2), Buffer(keys, mask, 3), Host(queries, 4));
        (Tensor y, Tensor logSumExp) = (Tensor.Create(queries), Tensor.Create(new(queries[0], queries[2], queries[1])));
        Cpu.CausalAttentionForward(q, k, v, mask, scale, y, logSumExp, precision);
        AttentionMask gpuMask = mask with { Segments = mask.Segments is null ? null : Device(mask.Segments) };
        (Tensor gpuQ, Tensor gpuK, Tensor gpuV, Tensor gpuY, Tensor gpuLogSumExp) = (Device(q), Device(k), Device(v), Unwritten(y.Shape), Unwritten(logSumExp.Shape));

        Gpu.CausalAttentionForward(gpuQ, gpuK, gpuV, gpuMask, scale, gpuY, gpuLogSumExp, precision);

        Close(y, gpuY, tolerance);
        Close(logSumExp, gpuLogSumExp, 1e-5);
        foreach (bool accumulate in new[] { false, true })
        {
            (Tensor dq, Tensor dk, Tensor dv) = (Host(queries, 5), Host(keys, 6), Host(keys, 7));
            (Tensor gpuDq, Tensor gpuDk, Tensor gpuDv) = (accumulate ? Device(dq) : Unwritten(queries), Device(dk), Device(dv));
            Cpu.CausalAttentionBackward(dy, q, k, v, mask, scale, y, logSumExp, new(dq, accumulate), dk, dv, precision);

            Gpu.CausalAttentionBackward(Device(dy), gpuQ, gpuK, gpuV, gpuMask, scale, Device(y), Device(logSumExp), new(gpuDq, accumulate), gpuDk, gpuDv, precision);

            Close(dq, gpuDq, gradientTolerance);
            Close(dk, gpuDk, gradientTolerance);
            Close(dv, gpuDv, gradientTolerance);
        }
    }
}
