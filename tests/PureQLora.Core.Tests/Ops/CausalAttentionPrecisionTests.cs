namespace PureQLora.Core.Tests;

/// <summary>Attention in bfloat16, on every tier: those without the instructions round the same operands.</summary>
public sealed class CausalAttentionPrecisionTests
{
    /// <summary>
    /// Of the norm: probabilities are rounded before they are divided by their sum and y is kept in float32, so that the reference
    /// cannot round as the kernel does; an operand's rounding is at most 2⁻⁹ of it, and errors of many terms partly cancel.
    /// </summary>
    private const double OutputTolerance = 1.0 / 512;

    /// <summary>Of the norm: dp − rowsum(dy ∘ y) cancels and inherits the error of y.</summary>
    private const double GradientTolerance = 1.0 / 256;

    /// <summary>Tier, sequence, heads, key-value heads, dimension, window (0 is none), segment pattern.</summary>
    public static TheoryData<CpuTier, int, int, int, int, int, string> Cases
    {
        get
        {
            TheoryData<CpuTier, int, int, int, int, int, string> cases = [];
            foreach (CpuTier tier in new[] { CpuTier.Vector128, CpuTier.Avx2, CpuTier.Avx512, CpuTier.Avx512BFloat16 })
            {
                cases.Add(tier, 17, 4, 4, 24, 0, "none");
                cases.Add(tier, 67, 1, 1, 64, 0, "none");
                cases.Add(tier, 130, 4, 4, 5, 0, "none");
                cases.Add(tier, 131, 6, 2, 32, 0, "none");
                cases.Add(tier, 70, 2, 1, 80, 70, "none");
                cases.Add(tier, 130, 8, 1, 4, 33, "none");
                cases.Add(tier, 129, 2, 1, 128, 0, "none");
                cases.Add(tier, 130, 4, 2, 24, 0, "packed");
                cases.Add(tier, 130, 4, 4, 4, 8, "packed");
                cases.Add(tier, 67, 4, 2, 16, 0, "left");
                cases.Add(tier, 130, 4, 2, 48, 8, "right");
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void CausalAttention_GivenBFloat16_ShouldMatchFloat64OfRoundedOperands(
        CpuTier tier, int sequence, int heads, int kvHeads, int headDim, int window, string segments)
    {
        using CpuBackend backend = CpuTiers.Open(tier);
        using ComputeScope scope = new(backend, recordGradients: true) { Precision = Precision.BFloat16 };
        AttentionReference shape = new(2, sequence, heads, kvHeads, headDim, sequence)
        {
            Window = window == 0 ? int.MaxValue : window,
            Segments = CausalAttentionTests.SegmentPattern(segments, 2, sequence),
            Scale = 1,
        };
        const float scale = 0.3f;
        (Tensor q, Tensor k, Tensor v) = CausalAttentionTests.Operands(shape);

        Tensor y = CausalAttention.Forward(scope, q, k, v, shape.Mask, scale);
        WeightedSumLoss.Backward(scope, y);

        // Queries are rounded after they are scaled.
        (double[] qs, double[] ks, double[] vs) = (Rounded(q, scale), Rounded(k, 1f), Rounded(v, 1f));
        double[] dy = [.. Enumerable.Range(0, (int)q.Shape.Count).Select(i => (double)BFloat16.Round((float)Reference.Weight(i)))];
        Close(shape.Forward(qs, ks, vs), y, OutputTolerance);
        (double[] dq, double[] dk, double[] dv) = shape.Backward(dy, qs, ks, vs);
        Close([.. dq.Select(value => value * scale)], q.Grad!, GradientTolerance);
        Close(dk, k.Grad!, GradientTolerance);
        Close(dv, v.Grad!, GradientTolerance);
    }

    [Theory]
    [InlineData(CpuTier.Avx512)]
    [InlineData(CpuTier.Avx512BFloat16)]
    public void CausalAttention_GivenAPrecision_ShouldRoundOnlyIfItSaysSo(CpuTier tier)
    {
        AttentionReference shape = new(1, 67, 4, 2, 64, 67);
        using CpuBackend backend = CpuTiers.Open(tier);
        float[][] outputs = new float[2][];
        foreach (Precision precision in new[] { Precision.Float32, Precision.BFloat16 })
        {
            using ComputeScope scope = new(backend) { Precision = precision };
            (Tensor q, Tensor k, Tensor v) = CausalAttentionTests.Operands(shape);
            outputs[(int)precision] = CausalAttention.Forward(scope, q, k, v, default, 0.125f).ToArray();
        }

        // The rounding of random operands: 2⁻⁹ at most, 2⁻¹¹ or so in the mean.
        double difference = Distance([.. outputs[0].Select(value => (double)value)], outputs[1]);
        Assert.InRange(difference, 1.0 / 8192, 1.0 / 128);
    }

    [Theory]
    [InlineData(CpuTier.Avx512)]
    [InlineData(CpuTier.Avx512BFloat16)]
    public void CausalAttention_GivenNaNInBFloat16_ShouldShowItOnlyToThoseWhoSeeIt(CpuTier tier)
    {
        AttentionReference shape = new(1, 70, 1, 1, 20, 75) { KeyCount = 73 };
        using CpuBackend backend = CpuTiers.Open(tier);
        using ComputeScope scope = new(backend) { Precision = Precision.BFloat16 };
        (Tensor q, Tensor k, Tensor v) = CausalAttentionTests.Operands(shape);

        // A payload of ones would become a zero if rounding carried into the sign.
        k.Floats[(72 * 20) + 3] = BitConverter.UInt32BitsToSingle(0xFFFF_FFFF);
        v.Floats[(73 * 20)..].Fill(float.NaN);
        k.Floats[(73 * 20)..].Fill(float.NaN);

        float[] y = CausalAttention.Forward(scope, q, k, v, shape.Mask, 1f).ToArray();

        Assert.All(y[..(69 * 20)], value => Assert.True(float.IsFinite(value)));
        Assert.All(y[(69 * 20)..], value => Assert.True(float.IsNaN(value)));
    }

    private static double[] Rounded(Tensor x, float factor) => [.. x.ToArray().Select(value => (double)BFloat16.Round(factor * value))];

    private static void Close(double[] expected, Tensor actual, double tolerance)
    {
        double distance = Distance(expected, actual.ToArray());
        Assert.True(distance <= tolerance, $"relative error {distance:G4}, allowed {tolerance:G4}");
    }

    /// <summary>Norm of the difference over the norm of what is expected.</summary>
    private static double Distance(double[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        double difference = expected.Zip(actual, (a, b) => (a - b) * (a - b)).Sum();
        return Math.Sqrt(difference / expected.Sum(value => value * value));
    }
}
