namespace PureQLora.Core.Tests;

/// <summary>What the CPU promises beyond the operations' contracts: bits, threads, memory.</summary>
public sealed class CpuMatrixKernelTests
{
    [Theory]
    [InlineData("2", 32, false)]
    [InlineData("3", 32, false)]
    [InlineData("4", 32, false)]
    [InlineData("8", 32, false)]
    [InlineData("3", 64, true)]
    [InlineData("4", 128, true)]
    [InlineData("8", -1, false)]
    [InlineData("4", -1, false)]
    [InlineData("4", 20, false)]      // groups that end inside a vector
    [InlineData("nf4", 64, false)]
    [InlineData("nf4", -1, false)]
    [InlineData("nf4", 20, false)]
    [InlineData("2", 5, false)]       // and inside a byte
    public void Dequantization_GivenAnyPieceOfARow_ShouldEqualTheFormulaBitForBit(string codes, int groupSize, bool scattered)
    {
        const int columns = 203;
        using QuantizedMatrix matrix = MatrixReference.Quantized(3, columns, codes, groupSize, scattered, 5);
        float[] row = new float[columns];
        foreach (CpuTier level in Enum.GetValues<CpuTier>())
        {
            QuantizedRows rows = new(matrix, level);
            foreach ((int start, int count) in new[] { (0, columns), (16, 100), (1, 7), (13, 150), (200, 3), (32, 171), (5, 0) })
            {
                unsafe
                {
                    fixed (float* target = row)
                    {
                        rows.Dequantize(2, start, count, target);
                    }
                }

                for (int i = 0; i < count; i++)
                {
                    int group = matrix.GroupOf(start + i);
                    int code = matrix.Code(2, start + i);
                    float expected = matrix.Scale(2, group) * (codes == "nf4" ? CodeBook.NormalFloat4.Levels[code] : code - matrix.Zero(2, group));
                    Assert.Equal(BitConverter.SingleToUInt32Bits(expected), BitConverter.SingleToUInt32Bits(row[i]));
                }
            }
        }

        matrix.DequantizeRow(1, row);
        Assert.Equal(matrix.Dequantize()[columns..(2 * columns)], row);
        GC.KeepAlive(matrix);
    }

    [Fact]
    public void BFloat16Vectors_GivenSpecialValues_ShouldRoundAsTheType()
    {
        float[] values = [0f, -0f, 1f, 1.00390625f, 1.01171875f, float.MaxValue, float.PositiveInfinity, float.NaN, BitConverter.UInt32BitsToSingle(0x7F800001), float.Epsilon, -3.14159f];
        float[] rounded = new float[values.Length];
        unsafe
        {
            fixed (float* source = values, target = rounded)
            {
                BFloat16Vectors.Round(source, target, values.Length);
            }
        }

        Assert.Equal(values.Select(v => BitConverter.SingleToUInt32Bits(BFloat16.Round(v))), rounded.Select(BitConverter.SingleToUInt32Bits));
    }

    [Theory]
    [MemberData(nameof(CpuTiers.All), MemberType = typeof(CpuTiers))]
    public void MatrixProducts_GivenAnyNumberOfThreads_ShouldBeBitIdentical(CpuTier tier)
    {
        foreach (Precision precision in new[] { Precision.Float32, Precision.BFloat16 })
        {
            float[]? first = null;
            foreach (int threads in new[] { 1, 2, 3, 7 })
            {
                using CpuBackend backend = CpuTiers.Open(tier, threads);
                float[] results = Step(backend, precision);
                first ??= results;
                Assert.Equal(first, results);
            }
        }
    }

    /// <summary>A tier sums in an order of its own, and nothing else: the step's results lie within float32 rounding of scalar code's.</summary>
    [Theory]
    [MemberData(nameof(CpuTiers.All), MemberType = typeof(CpuTiers))]
    public void MatrixProducts_GivenAnyTier_ShouldEqualScalarCodeWithinRounding(CpuTier tier)
    {
        using CpuBackend scalar = new(threads: 2, CpuTier.Scalar);
        using CpuBackend backend = CpuTiers.Open(tier);
        foreach (Precision precision in new[] { Precision.Float32, Precision.BFloat16 })
        {
            float[] expected = Step(scalar, precision);
            float[] actual = Step(backend, precision);
            double scale = Math.Sqrt(expected.Average(value => (double)value * value));
            double error = Math.Sqrt(expected.Zip(actual, (e, a) => Math.Pow((double)e - a, 2)).Average()) / scale;

            // A last bit that differs may round to the neighbouring bfloat16 where a result is an operand again: 2⁻⁸ of a few values.
            Assert.InRange(error, 0, precision == Precision.Float32 ? 2e-6 : 2e-4);
        }
    }

    /// <summary>
    /// Operands that are stored as bfloat16 are packed as they are; the same values as float32 are rounded to themselves. Of fewer than 65
    /// rows, the two may be summed in different orders.
    /// </summary>
    [Theory]
    [MemberData(nameof(CpuTiers.All), MemberType = typeof(CpuTiers))]
    public void MatrixProducts_GivenStoredBFloat16_ShouldEqualThoseOfTheSameFloats(CpuTier tier)
    {
        using CpuBackend backend = CpuTiers.Open(tier);
        foreach ((int m, int n, int k) in new[] { (70, 101, 301), (65, 128, 1024), (140, 66, 515), (33, 64, 31) })
        {
            foreach ((bool transposeX, bool transposeW) in new[] { (false, true), (false, false), (true, false), (true, true) })
            {
                (Tensor halfX, Tensor x) = Halves(transposeX ? k : m, transposeX ? m : k, 1);
                (Tensor halfW, Tensor w) = Halves(transposeW ? n : k, transposeW ? k : n, 2);
                (Tensor expected, Tensor actual) = (Tensor.Create(new Shape(m, n)), Tensor.Create(new Shape(m, n)));
                backend.MatMul(x, transposeX, w, transposeW, 1f, accumulate: false, expected, Precision.BFloat16);
                backend.MatMul(halfX, transposeX, halfW, transposeW, 1f, accumulate: false, actual, Precision.BFloat16);

                Assert.InRange(expected.ToArray().Max(), 0.01f, float.MaxValue);
                Assert.Equal(expected.ToArray(), actual.ToArray());
            }
        }
    }

    [Fact]
    public void MatrixProducts_GivenATrainingStepThatRepeats_ShouldAllocateNothing()
    {
        // One thread, so that its own counter sees all of the work and nothing of the tests beside it.
        using CpuBackend backend = new(threads: 1);
        using Arena arena = new(backend);
        using ComputeScope scope = new(arena, recordGradients: true);
        Layer layer = new();
        for (int warm = 0; warm < 3; warm++)
        {
            layer.Run(scope);
        }

        Assert.Equal(0, Allocation.Of(() => layer.Run(scope)));
    }

    [Fact]
    public void CrossEntropy_GivenManyTokensAndALargeVocabulary_ShouldStayFarBelowTheirProduct()
    {
        const int tokens = 4096, width = 4, vocabulary = 32_000;
        using CpuBackend backend = new(threads: 2);
        using Arena arena = new(backend);
        using ComputeScope scope = new(arena, recordGradients: true);
        Tensor hidden = Tensor.From(MatrixReference.Random(tokens * width, 1), new(tokens, width)).AsParameter();
        WeightMatrix head = new(Tensor.From(MatrixReference.Random(vocabulary * width, 2), new(vocabulary, width)));
        Tensor labels = Tensor.From(Enumerable.Range(0, tokens).Select(t => t * 7).ToArray(), new(tokens));

        Tensor loss = CrossEntropy.Forward(scope, hidden, head, labels, tokens);
        scope.Backward(loss);

        Assert.InRange(loss.Floats[0], 5f, 20f);
        Assert.InRange(arena.PeakBytes, 1, (long)tokens * vocabulary * sizeof(float) / 10);
    }

    /// <summary>The same random values as bfloat16 and as float32.</summary>
    private static (Tensor Halves, Tensor Floats) Halves(int rows, int columns, int seed)
    {
        float[] values = [.. MatrixReference.Random(rows * columns, seed).Select(BFloat16.Round)];
        Tensor halves = Tensor.Create(new Shape(rows, columns), DataType.BFloat16);
        halves.Storage.Write(0, System.Runtime.InteropServices.MemoryMarshal.AsBytes<BFloat16>(Array.ConvertAll(values, static value => (BFloat16)value)));
        return (halves, Tensor.From(values, new Shape(rows, columns)));
    }

    /// <summary>Forward and backward of a layer and a loss on shapes that cut into several tiles.</summary>
    private static float[] Step(CpuBackend backend, Precision precision)
    {
        Layer layer = new();
        using ComputeScope scope = new(backend, recordGradients: true) { Precision = precision };
        layer.Run(scope);
        return [.. layer.Parameters.SelectMany(p => p.Grad!.ToArray()), layer.Loss];
    }

    private sealed class Layer
    {
        private readonly Tensor _x = Tensor.From(MatrixReference.Random(300 * 200, 1), new Shape(300, 200)).AsParameter();
        private readonly Tensor _a = Tensor.From(MatrixReference.Random(8 * 200, 2), new Shape(8, 200)).AsParameter();
        private readonly Tensor _b = Tensor.From(MatrixReference.Random(310 * 8, 3), new Shape(310, 8)).AsParameter();
        private readonly Tensor _bias = Tensor.From(MatrixReference.Random(310, 4), new Shape(310)).AsParameter();
        private readonly Tensor _head = Tensor.From(MatrixReference.Random(500 * 310, 5), new Shape(500, 310)).AsParameter();
        private readonly WeightMatrix _weight = new(MatrixReference.Quantized(310, 200, 4, 64, false, 6));
        private readonly WeightMatrix _headWeight;
        private readonly Tensor _labels = Tensor.From(Enumerable.Range(0, 300).Select(t => t % 4 == 0 ? -100 : t).ToArray(), new Shape(300));

        public Layer() => _headWeight = new WeightMatrix(_head);

        public float Loss { get; private set; }

        public IEnumerable<Tensor> Parameters => [_x, _a, _b, _bias, _head];

        public void Run(ComputeScope scope)
        {
            scope.Reset();
            Tensor y = QLoraLinear.Forward(scope, _x, _weight, _bias, new LoraBranch(_a, _b, 2f, 0.1f));
            Tensor loss = CrossEntropy.Forward(scope, y, _headWeight, _labels, 225f);
            scope.Backward(loss);
            Loss = loss.Floats[0];
        }
    }
}
