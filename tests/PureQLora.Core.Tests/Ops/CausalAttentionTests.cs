namespace PureQLora.Core.Tests;

public abstract class CausalAttentionTests : OpTests
{
    /// <summary>Sequence, heads, key-value heads, dimension, window (0 is none), segment pattern.</summary>
    public static TheoryData<int, int, int, int, int, string> Shapes => new()
    {
        { 1, 1, 1, 4, 0, "none" },
        { 2, 1, 1, 1, 0, "none" },
        { 5, 4, 2, 4, 0, "none" },
        { 17, 4, 4, 24, 0, "none" },
        { 17, 8, 1, 4, 8, "none" },
        { 67, 1, 1, 64, 0, "none" },
        { 67, 4, 2, 24, 8, "none" },
        { 67, 8, 1, 4, 1, "none" },
        { 130, 4, 4, 5, 0, "none" },
        { 130, 4, 2, 8, 8, "none" },
        { 130, 8, 1, 4, 0, "none" },
        { 70, 2, 1, 80, 70, "none" },
        { 5, 4, 2, 4, 0, "packed" },
        { 67, 4, 2, 4, 0, "packed" },
        { 130, 4, 2, 24, 0, "packed" },
        { 130, 4, 4, 4, 8, "packed" },
        { 67, 4, 2, 4, 0, "left" },
        { 130, 8, 1, 4, 0, "left" },
        { 67, 4, 2, 4, 0, "right" },
        { 130, 4, 2, 4, 8, "right" },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void CausalAttention_GivenOddShapes_ShouldMatchFloat64(int sequence, int heads, int kvHeads, int headDim, int window, string segments)
    {
        AttentionReference reference = new(2, sequence, heads, kvHeads, headDim, sequence)
        {
            Window = window == 0 ? int.MaxValue : window,
            Segments = SegmentPattern(segments, 2, sequence),
        };
        CheckBothWays(reference);
    }

    [Theory]
    [InlineData(1, 9, 9, 1)]
    [InlineData(1, 40, 67, 4)]
    [InlineData(3, 70, 80, 2)]
    [InlineData(67, 130, 131, 2)]
    [InlineData(40, 64, 64, 4)]
    [InlineData(1, 600, 610, 2)]      // a cache that is read in parts
    [InlineData(2, 777, 780, 1)]
    public void CausalAttention_GivenALongerBuffer_ShouldMatchFloat64(int sequence, int keyCount, int capacity, int kvHeads)
    {
        AttentionReference reference = new(2, sequence, 4, kvHeads, 24, capacity) { KeyCount = keyCount };
        CheckBothWays(reference);

        // One row of the batch is shorter: padding stands before it.
        int[] segments = new int[2 * (capacity + 3)];
        segments.AsSpan(0, Math.Min(5, keyCount - 1)).Fill(-1);
        CheckBothWays(reference with { Segments = segments, SegmentStride = capacity + 3, Window = 33 });
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 4)]
    [InlineData(4, 2)]
    [InlineData(8, 1)]
    public void CausalAttention_GivenSmallShapes_ShouldMatchDifferences(int heads, int kvHeads)
    {
        AttentionReference reference = new(2, 5, heads, kvHeads, 3, 7) { KeyCount = 6, Window = 4, Segments = [0, 0, 1, 1, 1, 1, 1, -1, 3, 3, 3, 3, 3, 3] };
        using ComputeScope scope = Record();
        (Tensor q, Tensor k, Tensor v) = Operands(reference);

        BackwardFromWeightedSum(scope, CausalAttention.Forward(scope, q, k, v, reference.Mask, (float)reference.Scale));

        (double[] qs, double[] ks, double[] vs) = (Reference.ToDouble(q), Reference.ToDouble(k), Reference.ToDouble(v));
        GradientCheck.Matches(q, x => Reference.WeightedSum(reference.Forward(x, ks, vs)));
        GradientCheck.Matches(k, x => Reference.WeightedSum(reference.Forward(qs, x, vs)));
        GradientCheck.Matches(v, x => Reference.WeightedSum(reference.Forward(qs, ks, x)));
    }

    [Theory]
    [InlineData(true, false, false)]
    [InlineData(false, true, false)]
    [InlineData(false, false, true)]
    public void CausalAttention_GivenOneParameter_ShouldComputeItsGradientAlone(bool trainQ, bool trainK, bool trainV)
    {
        AttentionReference reference = new(1, 7, 2, 1, 4, 7);
        using ComputeScope scope = Record();
        (Tensor q, Tensor k, Tensor v) = Operands(reference);
        foreach ((Tensor tensor, bool train) in new[] { (q, trainQ), (k, trainK), (v, trainV) })
        {
            if (!train)
            {
                tensor.Freeze();
            }
        }

        Tensor y = CausalAttention.Forward(scope, q, k, v, reference.Mask, (float)reference.Scale);
        BackwardFromWeightedSum(scope, y);

        (double[] dq, double[] dk, double[] dv) = reference.Backward(Weights(q.Shape), Reference.ToDouble(q), Reference.ToDouble(k), Reference.ToDouble(v));
        GradientCheck.Close(trainQ ? dq : trainK ? dk : dv, (trainQ ? q : trainK ? k : v).Grad!);
        Assert.Equal([trainQ, trainK, trainV], [q.Grad is not null, k.Grad is not null, v.Grad is not null]);
    }

    [Fact]
    public void CausalAttention_GivenACache_ShouldContinueTheFullPass()
    {
        const int sequence = 75;
        AttentionReference full = new(2, sequence, 4, 2, 16, sequence) { Window = 50 };
        using ComputeScope scope = new(Backend);
        (Tensor q, Tensor k, Tensor v) = Operands(full);
        float[] expected = CausalAttention.Forward(scope, q, k, v, full.Mask, 0.25f).ToArray();

        // A prompt of 70, then one at a time.
        for (int start = 0; start < sequence; start = start == 0 ? 70 : start + 1)
        {
            int end = start == 0 ? 70 : start + 1;
            Tensor part = Slice(q, start, end);
            float[] actual = CausalAttention.Forward(scope, part, k, v, full.Mask with { KeyCount = end }, 0.25f).ToArray();
            float[] slice = Slice(Tensor.From(expected, q.Shape), start, end).ToArray();
            Assert.All(slice.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-6f));
        }
    }

    [Fact]
    public void CausalAttention_GivenPackedDocuments_ShouldEqualThemAlone()
    {
        int[] lengths = [3, 64, 1, 40, 22];
        AttentionReference packed = new(1, 130, 4, 2, 16, 130)
        {
            Segments = [.. lengths.SelectMany((length, document) => Enumerable.Repeat(document, length))],
        };
        using ComputeScope scope = Record();
        (Tensor q, Tensor k, Tensor v) = Operands(packed);
        Tensor y = CausalAttention.Forward(scope, q, k, v, packed.Mask, 0.25f);
        float[] together = y.ToArray();

        int start = 0;
        foreach (int length in lengths)
        {
            int end = start + length;
            float[] alone = CausalAttention.Forward(scope, Slice(q, start, end), Slice(k, start, end), Slice(v, start, end), default, 0.25f).ToArray();
            Assert.All(alone.Zip(together[(start * 64)..(end * 64)]), pair => Assert.Equal(pair.First, pair.Second, 1e-6f));
            start = end;
        }
    }

    [Theory]
    [InlineData(1e4f)]
    [InlineData(-1e4f)]
    public void CausalAttention_GivenExtremeScores_ShouldStayFinite(float extreme)
    {
        AttentionReference reference = new(1, 70, 2, 1, 4, 70) { Scale = 1 };
        using ComputeScope scope = Record();
        (Tensor q, Tensor k, Tensor v) = Operands(reference);
        q.Floats.Fill(50f);
        k.Floats.Fill(extreme / 200f);
        k.Floats[^1] *= 2;

        Tensor y = CausalAttention.Forward(scope, q, k, v, default, 1f);
        BackwardFromWeightedSum(scope, y);

        GradientCheck.Close(reference.Forward(Reference.ToDouble(q), Reference.ToDouble(k), Reference.ToDouble(v)), y);
        Assert.All(q.Grad!.ToArray().Concat(k.Grad!.ToArray()).Concat(v.Grad!.ToArray()), value => Assert.True(float.IsFinite(value)));
    }

    [Theory]
    [InlineData(2)]      // the last row of a tile of many
    [InlineData(1)]      // decoding
    public void CausalAttention_GivenNaN_ShouldShowIt(int sequence)
    {
        AttentionReference reference = new(1, sequence, 1, 1, 4, 20);
        using ComputeScope scope = new(Backend);
        (Tensor q, Tensor k, Tensor v) = Operands(reference);
        k.Floats[13] = float.NaN;

        Assert.All(CausalAttention.Forward(scope, q, k, v, default, 1f).ToArray(), value => Assert.True(float.IsNaN(value)));
    }

    [Fact]
    public void CausalAttention_GivenEntriesBeyondTheKeyCount_ShouldNotReadThem()
    {
        AttentionReference reference = new(2, 3, 2, 1, 24, 20) { KeyCount = 11 };
        using ComputeScope scope = Record();
        (Tensor q, Tensor k, Tensor v) = Operands(reference);
        foreach (Tensor tensor in new[] { k, v })
        {
            for (int b = 0; b < 2; b++)
            {
                tensor.Floats.Slice(((b * 20) + 11) * 24, 9 * 24).Fill(float.NaN);
            }
        }

        BackwardFromWeightedSum(scope, CausalAttention.Forward(scope, q, k, v, reference.Mask, 1f));

        Assert.All(q.Grad!.ToArray().Concat(k.Grad!.ToArray()).Concat(v.Grad!.ToArray()), value => Assert.True(float.IsFinite(value)));
        Assert.All(k.Grad!.ToArray()[(11 * 24)..(20 * 24)], value => Assert.Equal(0f, value));
    }

    [Fact]
    public void CausalAttention_GivenTwiceTheSequence_ShouldTakeTwiceTheMemory()
    {
        long Peak(int sequence)
        {
            using ComputeScope scope = Record();
            (Tensor q, Tensor k, Tensor v) = Operands(new(1, sequence, 4, 2, 16, sequence));
            BackwardFromWeightedSum(scope, CausalAttention.Forward(scope, q, k, v, default, 0.25f));
            return scope.Arena.PeakBytes;
        }

        (long half, long whole) = (Peak(512), Peak(1024));
        Assert.InRange(whole, (2 * half) - 1024, 2 * half);

        // Output, its gradient, and one number a query.
        Assert.InRange(half, 2 * 512 * 64 * 4, (2 * 512 * 64 * 4) + (512 * 4 * 4) + 1024);
    }

    [Theory]
    [InlineData(new long[] { 1, 4, 3, 8 }, new long[] { 1, 4, 2, 8 }, null, null, "multiple of kvHeads")]
    [InlineData(new long[] { 1, 4, 2, 8 }, new long[] { 2, 4, 2, 8 }, null, null, "[2, 4, 2, 8]")]
    [InlineData(new long[] { 1, 4, 2, 8 }, new long[] { 1, 3, 2, 8 }, null, null, "key count is 3, allowed 4–3")]
    [InlineData(new long[] { 1, 4, 2, 8 }, new long[] { 1, 6, 2, 8 }, 7L, null, "key count is 7, allowed 4–6")]
    [InlineData(new long[] { 1, 4, 2, 8 }, new long[] { 1, 6, 2, 8 }, null, 0, "window is 0")]
    public void CausalAttention_GivenShapesThatDoNotFit_ShouldSayWhy(long[] q, long[] k, long? keyCount, int? window, string message)
    {
        using ComputeScope scope = new(Backend);
        ArgumentException error = Assert.Throws<ArgumentException>(() => CausalAttention.Forward(
            scope, Constant(new(q), 1), Constant(new(k), 2), Constant(new(k), 3), new AttentionMask { KeyCount = keyCount, Window = window }, 1f));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CausalAttention_GivenSegmentsThatAreTooShort_ShouldSayWhy()
    {
        using ComputeScope scope = new(Backend);
        AttentionMask mask = new() { Segments = Tensor.Create(new(1, 3), DataType.Int32) };
        ArgumentException error = Assert.Throws<ArgumentException>(() => CausalAttention.Forward(
            scope, Constant(new(1, 4, 1, 2), 1), Constant(new(1, 4, 1, 2), 2), Constant(new(1, 4, 1, 2), 3), mask, 1f));
        Assert.Contains("[1, 3]", error.Message, StringComparison.Ordinal);
    }

    internal static (Tensor Q, Tensor K, Tensor V) Operands(AttentionReference reference)
    {
        (Tensor q, Tensor k, Tensor v) = (Parameter(reference.QueryShape, 1), Parameter(reference.KeyShape, 2), Parameter(reference.KeyShape, 3));

        // Scores of a few units, so that the softmax is neither flat nor a maximum.
        foreach (ref float value in q.Floats)
        {
            value *= 3f;
        }

        return (q, k, v);
    }

    internal static int[]? SegmentPattern(string name, int batch, int length) => name switch
    {
        "packed" => [.. Enumerable.Range(0, batch * length).Select(i => (i % length * 7 / length) + (i / length))],
        "left" => [.. Enumerable.Range(0, batch * length).Select(i => i / length == 1 && i % length < length / 3 ? -1 : 0)],
        "right" => [.. Enumerable.Range(0, batch * length).Select(i => i / length == 0 && i % length >= length * 2 / 3 ? -1 : 0)],
        _ => null,
    };

    /// <summary>Tokens start … end − 1 of every batch entry.</summary>
    protected static Tensor Slice(Tensor x, int start, int end)
    {
        int token = (int)(x.Shape[2] * x.Shape[3]);
        int length = (int)x.Shape[1];
        float[] values = [.. Enumerable.Range(0, (int)x.Shape[0]).SelectMany(b => x.ToArray()[(((b * length) + start) * token)..(((b * length) + end) * token)])];
        return Tensor.From(values, x.Shape.With(1, end - start));
    }

    private static double[] Weights(Shape shape) => [.. Enumerable.Range(0, (int)shape.Count).Select(Reference.Weight)];

    private void CheckBothWays(AttentionReference reference)
    {
        Assert.SkipWhen(IsTooLong((long)reference.Batch * reference.Heads * reference.Sequence * reference.KeyCount * reference.HeadDim / 2), "Too long for this backend.");
        using ComputeScope scope = Record();
        (Tensor q, Tensor k, Tensor v) = Operands(reference);

        Tensor y = CausalAttention.Forward(scope, q, k, v, reference.Mask, (float)reference.Scale);
        BackwardFromWeightedSum(scope, y);

        (double[] qs, double[] ks, double[] vs) = (Reference.ToDouble(q), Reference.ToDouble(k), Reference.ToDouble(v));
        GradientCheck.Close(reference.Forward(qs, ks, vs), y);
        (double[] dq, double[] dk, double[] dv) = reference.Backward(Weights(q.Shape), qs, ks, vs);
        GradientCheck.Close(dq, q.Grad!);
        GradientCheck.Close(dk, k.Grad!);
        GradientCheck.Close(dv, v.Grad!);
    }
}

public abstract class CpuCausalAttentionTests(CpuTier tier) : CausalAttentionTests, IDisposable
{
    private readonly CpuBackend _backend = CpuTiers.Open(tier);

    protected override IBackend Backend => _backend;

    public void Dispose()
    {
        _backend.Dispose();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public void CausalAttention_GivenOtherThreadCounts_ShouldGiveTheSameBits(Precision precision)
    {
        float[]? expected = null;
        foreach (int threads in new[] { 1, 2, 3, 7 })
        {
            using CpuBackend backend = CpuTiers.Open(tier, threads);
            using ComputeScope scope = new(backend, recordGradients: true) { Precision = precision };
            AttentionReference shape = new(2, 130, 4, 2, 24, 130) { Window = 100 };
            (Tensor q, Tensor k, Tensor v) = Operands(shape);
            Tensor y = CausalAttention.Forward(scope, q, k, v, shape.Mask, 0.2f);
            AttentionReference cache = new(1, 1, 4, 2, 24, 700);
            (Tensor last, Tensor keys, Tensor values) = Operands(cache);
            float[] decoded = CausalAttention.Forward(scope, last, keys, values, default, 0.2f).ToArray();
            BackwardFromWeightedSum(scope, y);
            float[] actual = [.. y.ToArray(), .. decoded, .. q.Grad!.ToArray(), .. k.Grad!.ToArray(), .. v.Grad!.ToArray()];
            Assert.Equal(expected ??= actual, actual);
        }
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    public void CausalAttention_AfterWarmUp_ShouldNotAllocate(Precision precision)
    {
        using CpuBackend backend = CpuTiers.Open(tier, threads: 1);
        using ComputeScope scope = new(backend, recordGradients: true) { Precision = precision };
        AttentionReference shape = new(1, 67, 4, 2, 24, 67) { Segments = new int[67] };
        AttentionMask mask = shape.Mask;
        (Tensor q, Tensor k, Tensor v) = Operands(shape);
        Tensor last = Slice(q, 66, 67);
        Tensor dy = Constant(q.Shape, 5);

        void Step()
        {
            scope.Reset();
            Tensor y = CausalAttention.Forward(scope, q, k, v, mask, 0.2f);
            _ = CausalAttention.Forward(scope, last, k, v, mask, 0.2f);
            Tensor logSumExp = scope.Zeros(new Shape(1, 4, 67));
            backend.CausalAttentionBackward(dy, q, k, v, mask, 0.2f, y, logSumExp, new GradientTarget(q.Grad, true), k.Grad, v.Grad, precision);
        }

        Assert.Equal(0, AllocatedBy(Step));
    }
}

public sealed class CpuScalarCausalAttentionTests() : CpuCausalAttentionTests(CpuTier.Scalar);

public sealed class CpuVector128CausalAttentionTests() : CpuCausalAttentionTests(CpuTier.Vector128);

public sealed class CpuAvx2CausalAttentionTests() : CpuCausalAttentionTests(CpuTier.Avx2);

public sealed class CpuAvx512CausalAttentionTests() : CpuCausalAttentionTests(CpuTier.Avx512);

public sealed class CpuAvx512BFloat16CausalAttentionTests() : CpuCausalAttentionTests(CpuTier.Avx512BFloat16);

public sealed class CpuAmxCausalAttentionTests() : CpuCausalAttentionTests(CpuTier.Amx);
