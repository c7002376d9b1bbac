namespace PureQLora.Core.Tests;

/// <summary>Products of few rows with quantised weights: every width of codes, every kind of group, at every tier and precision.</summary>
public sealed class PackedProductTests
{
    private static readonly int[] RowCounts = [1, 2, 3, 4, 5, 16, 33];

    public static TheoryData<string, int, bool> Weights
    {
        get
        {
            TheoryData<string, int, bool> data = new();
            foreach (string codes in new[] { "2", "3", "4", "8", "nf4" })
            {
                foreach (int groupSize in new[] { 5, 20, 32, 64, 128, 256, -1 })
                {
                    data.Add(codes, groupSize, false);
                }

                if (codes != "nf4")
                {
                    data.Add(codes, 32, true);
                }
            }

            return data;
        }
    }

    private static IEnumerable<CpuTier> Tiers => Enum.GetValues<CpuTier>().Where(tier => tier >= CpuTier.Vector128 && tier <= CpuBackend.SupportedTier);

    [Theory]
    [MemberData(nameof(Weights))]
    public void Product_GivenFloat32_ShouldMatchFloat64(string codes, int groupSize, bool scattered) =>
        Check(codes, groupSize, scattered, Precision.Float32, static x => x, static w => w);

    [Theory]
    [MemberData(nameof(Weights))]
    public void Product_GivenBFloat16_ShouldRoundOnlyTheOperands(string codes, int groupSize, bool scattered) =>
        Check(codes, groupSize, scattered, Precision.BFloat16, static x => Array.ConvertAll(x, BFloat16.Round), MatrixReference.Rounded);

    [Theory]
    [MemberData(nameof(Weights))]
    public void Product_GivenInt8_ShouldRoundTheActivationsOnly(string codes, int groupSize, bool scattered) =>
        Check(codes, groupSize, scattered, Precision.Int8, static x => RoundedToInt8(x), static w => w);

    [Fact]
    public void Product_GivenInt8_ShouldBeWithinHalfAStepOfEveryActivation()
    {
        const int outDim = 40, inDim = 300;
        using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, 4, 128, false, 3);
        float[] x = MatrixReference.Random(inDim, 4);
        x[7] = 30f;                                            // an outlier costs its own block
        foreach (CpuTier tier in Tiers)
        {
            using CpuBackend backend = new(2, tier);
            float[] y = Multiply(backend, x, matrix, 1, Precision.Int8);
            for (int n = 0; n < outDim; n++)
            {
                (double exact, double bound) = (0, 1e-5);
                for (int k = 0; k < inDim; k++)
                {
                    double step = x[(k & ~127)..Math.Min((k & ~127) + 128, inDim)].Max(Math.Abs) / 127.0;
                    exact += (double)matrix[n, k] * x[k];
                    bound += Math.Abs((double)matrix[n, k]) * step / 2;
                }

                Assert.InRange(y[n], exact - bound, exact + bound);
            }
        }
    }

    [Theory]
    [InlineData(4, 128, Precision.Float32)]
    [InlineData(4, 32, Precision.Float32)]
    [InlineData(4, 128, Precision.BFloat16)]
    [InlineData(4, 128, Precision.Int8)]
    [InlineData(2, -1, Precision.BFloat16)]
    [InlineData(8, 128, Precision.Int8)]
    public void Product_GivenAnyNumberOfThreads_ShouldBeBitIdentical(int bits, int groupSize, Precision precision)
    {
        const int outDim = 301, inDim = 384;
        using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, bits, groupSize, false, 3);
        foreach (int rows in new[] { 1, 6, 20 })
        {
            float[] x = MatrixReference.Random(rows * inDim, 4);
            float[]? first = null;
            foreach (int threads in new[] { 1, 2, 3, 7 })
            {
                using CpuBackend backend = new(threads);
                float[] y = Multiply(backend, x, matrix, rows, precision);
                first ??= y;
                Assert.Equal(first, y);
            }
        }
    }

    [Theory]
    [InlineData(Precision.BFloat16)]
    [InlineData(Precision.Int8)]
    public void Product_GivenABatch_ShouldGiveEachRowTheBitsThatItGetsAlone(Precision precision)
    {
        const int outDim = 37, inDim = 384, rows = 23;
        if (CpuBackend.SupportedTier < CpuTier.Avx512BFloat16)
        {
            Assert.Skip($"Other tiers promise rounding only; this processor has {CpuBackend.SupportedTier}.");
        }

        using CpuBackend backend = new(2, CpuTier.Avx512BFloat16);
        using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, 4, 128, false, 3);
        float[] x = MatrixReference.Random(rows * inDim, 4);
        float[] together = Multiply(backend, x, matrix, rows, precision);
        for (int row = 0; row < rows; row++)
        {
            float[] alone = Multiply(backend, x[(row * inDim)..((row + 1) * inDim)], matrix, 1, precision);
            Assert.Equal(alone, together[(row * outDim)..((row + 1) * outDim)]);
        }
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    [InlineData(Precision.Int8)]
    public void Product_GivenNaNOrNothingButZeros_ShouldKeepThem(Precision precision)
    {
        using QuantizedMatrix matrix = MatrixReference.Quantized(8, 256, 4, 128, false, 3);
        foreach (CpuTier tier in Tiers)
        {
            using CpuBackend backend = new(1, tier);
            Assert.All(Multiply(backend, new float[256], matrix, 1, precision), y => Assert.Equal(0f, y));
            float[] x = MatrixReference.Random(256, 4);
            x[200] = float.NaN;
            Assert.All(Multiply(backend, x, matrix, 1, precision), y => Assert.True(float.IsNaN(y)));
        }
    }

    [Theory]
    [InlineData(Precision.Float32)]
    [InlineData(Precision.BFloat16)]
    [InlineData(Precision.Int8)]
    public void Product_GivenASumToAddTo_ShouldAddEveryRowOnce(Precision precision)
    {
        using CpuBackend backend = new(2);
        foreach (int outDim in new[] { 5, 6, 64, 67 })
        {
            using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, 256, 4, 128, false, 3);
            float[] x = MatrixReference.Random(256, 4);
            Tensor input = Tensor.From(x, new Shape(1, 256));
            Tensor sum = Tensor.From(MatrixReference.Random(outDim, 5), new Shape(1, outDim));
            float[] before = sum.ToArray();
            float[] product = Multiply(backend, x, matrix, 1, precision);
            backend.WeightMatMul(input, new WeightMatrix(matrix), transposeWeight: true, accumulate: true, sum, precision);
            GC.KeepAlive(input);
            float[] after = sum.ToArray();
            for (int n = 0; n < outDim; n++)
            {
                // Another kernel may take a weight with a rest, so that the order of the sum of 256 terms differs.
                Assert.Equal(before[n] + product[n], after[n], 1e-4f * (1 + Math.Abs(product[n])));
            }
        }
    }

    private static void Check(string codes, int groupSize, bool scattered, Precision precision, Func<float[], float[]> roundX, Func<double[], double[]> roundW)
    {
        CpuBackend[] backends = [.. Tiers.Select(tier => new CpuBackend(2, tier))];
        foreach ((int outDim, int inDim) in new[] { (37, 512), (9, 300), (4, 131), (3, 128), (5, 71) })
        {
            using QuantizedMatrix matrix = MatrixReference.Quantized(outDim, inDim, codes, groupSize, scattered, 3);
            double[] w = roundW(Array.ConvertAll(matrix.Dequantize(), v => (double)v));
            foreach (int rows in RowCounts)
            {
                float[] x = MatrixReference.Random(rows * inDim, 4);
                float[] rounded = [.. x.Chunk(inDim).SelectMany(roundX)];
                double[] expected = MatrixReference.Product(Array.ConvertAll(rounded, v => (double)v), false, w, true, rows, outDim, inDim);
                foreach (CpuBackend backend in backends)
                {
                    float[] y = Multiply(backend, x, matrix, rows, precision);
                    for (int i = 0; i < y.Length; i++)
                    {
                        // Float32 rounding of a sum of up to 512 terms of about one.
                        Assert.True(
                            Math.Abs(expected[i] - y[i]) <= 1e-5 * (1 + Math.Abs(expected[i])),
                            $"{backend.Tier}, {rows} × [{outDim}, {inDim}], element {i}: expected {expected[i]:G9}, got {y[i]:G9}");
                    }
                }
            }
        }

        Array.ForEach(backends, backend => backend.Dispose());
    }

    private static float[] Multiply(CpuBackend backend, float[] x, QuantizedMatrix matrix, int rows, Precision precision)
    {
        Tensor input = Tensor.From(x, new Shape(rows, matrix.InDim));
        Tensor y = Tensor.Create(new Shape(rows, matrix.OutDim));
        backend.WeightMatMul(input, new WeightMatrix(matrix), transposeWeight: true, accumulate: false, y, precision);

        // Kernels read bare pointers; their caller keeps the operands reachable.
        GC.KeepAlive(input);
        return y.ToArray();
    }

    /// <summary>Blocks of 128 columns with a step of max |x| / 127, ties to even.</summary>
    private static float[] RoundedToInt8(float[] row)
    {
        float[] rounded = new float[row.Length];
        for (int start = 0; start < row.Length; start += 128)
        {
            int end = Math.Min(row.Length, start + 128);
            float step = row[start..end].Max(MathF.Abs) / 127f;
            for (int i = start; i < end; i++)
            {
                rounded[i] = step * MathF.Round(row[i] * (1f / step), MidpointRounding.ToEven);
            }
        }

        return rounded;
    }
}
