using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Matrices as bitsandbytes 0.50.2 quantises them: codes, scales, scales of scales and values, bit by bit.</summary>
public sealed class BlockwiseGoldenTests
{
    private static readonly GoldenTensors Travelling = GoldenTensors.Read(RepositoryPaths.Fixture("quantization", "bnb", "matrices.safetensors"));

    public static TheoryData<string, string, bool> Cases
    {
        get
        {
            TheoryData<string, string, bool> data = new();
            foreach (string matrix in new[] { "normal", "heavy", "odd", "two_nested_blocks" })
            {
                foreach (string type in new[] { "nf4", "fp4" })
                {
                    data.Add(matrix, type, false);
                    data.Add(matrix, type, true);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Quantize_GivenAMatrix_ShouldStoreWhatBitsAndBytesDoes(string name, string type, bool doubled)
    {
        GoldenTensors golden = Golden(name);
        BlockwiseMatrix matrix = Quantize(golden, name, type, doubled);
        string key = $"{name}.{type}{(doubled ? ".double" : string.Empty)}";

        // The values say it of fp4 too; it has two codes for 0, and bitsandbytes takes the second for some small weights.
        if (type == "nf4")
        {
            Assert.Equal(golden.Bytes(key + ".packed"), matrix.Codes);
        }

        if (doubled)
        {
            Assert.Equal(golden.Bytes(key + ".absmax"), matrix.Nested!.Codes);
            AssertBits(golden.Floats(key + ".nested_absmax"), matrix.Nested.Absmax);
            AssertBits(golden.Floats(key + ".offset"), [matrix.Nested.Offset]);
            AssertBits(golden.Floats("nested_code"), matrix.Nested.Map);
        }
        else
        {
            Assert.Null(matrix.Nested);
            AssertBits(golden.Floats(key + ".absmax"), matrix.Scales);
        }

        using QuantizedMatrix values = matrix.ToMatrix();
        Assert.Equal(golden.Floats(key + ".dequantized"), values.Dequantize());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void ToMatrix_GivenStoredCodes_ShouldHaveTheirValuesBitForBit(string name, string type, bool doubled)
    {
        GoldenTensors golden = Golden(name);
        string key = $"{name}.{type}{(doubled ? ".double" : string.Empty)}";
        NestedScales? nested = !doubled ? null : new NestedScales(
            golden.Bytes(key + ".absmax"), golden.Floats(key + ".nested_absmax"), golden.Floats("nested_code"), golden.Floats(key + ".offset")[0], 256);
        BlockwiseMatrix matrix = new()
        {
            OutDim = (int)golden.Shape(name + ".x")[0],
            InDim = (int)golden.Shape(name + ".x")[1],
            Book = new CodeBook(type, golden.Floats(type + ".code")),
            BlockSize = 64,
            Codes = golden.Bytes(key + ".packed"),
            Scales = nested?.Dequantize() ?? golden.Floats(key + ".absmax"),
        };
        using QuantizedMatrix values = matrix.ToMatrix();
        AssertBits(golden.Floats(key + ".dequantized"), values.Dequantize());
    }

    [Fact]
    public void Books_GivenThoseOfBitsAndBytes_ShouldHaveTheirBits()
    {
        AssertBits(Travelling.Floats("nf4.code"), CodeBook.NormalFloat4.Levels);
        AssertBits(Travelling.Floats("fp4.code"), CodeBook.Float4.Levels);
    }

    [Theory]
    [InlineData(5, 7, 32)]
    [InlineData(33, 96, 64)]
    [InlineData(3, 4096, 4096)]
    [InlineData(700, 129, 128)]
    [InlineData(1, 1, 64)]
    public void Quantize_GivenAnySizeAndBlock_ShouldBeWithinHalfALevelOfEveryWeight(int outDim, int inDim, int block)
    {
        float[] weights = Random(outDim * inDim, 5);
        using CpuBackend backend = new(threads: 3);
        BlockwiseMatrix matrix = BlockwiseQuantizer.Quantize(weights, outDim, new BlockwiseOptions { BlockSize = block }, "layer", backend);
        BlockwiseMatrix alone = BlockwiseQuantizer.Quantize(weights, outDim, new BlockwiseOptions { BlockSize = block }, "layer");
        Assert.Equal(alone.Codes, matrix.Codes);
        using QuantizedMatrix values = matrix.ToMatrix();
        float[] actual = values.Dequantize();
        for (int i = 0; i < weights.Length; i++)
        {
            float largest = weights.AsSpan(i / block * block, Math.Min(block, weights.Length - (i / block * block))).ToArray().Max(Math.Abs);
            Assert.Equal(largest, matrix.Scales[i / block]);

            // The widest gap of NF4 lies between −1 and −0.696.
            Assert.InRange(Math.Abs(actual[i] - weights[i]), 0f, 0.1521f * largest);
            Assert.Equal(actual[i], values[i / inDim, i % inDim]);
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Quantize_GivenAWeightThatIsNotFinite_ShouldNameTheLayer(float bad)
    {
        float[] weights = Random(96, 1);
        weights[70] = bad;
        Assert.Contains("some.layer", Assert.Throws<UserErrorException>(() => BlockwiseQuantizer.Quantize(weights, 3, new BlockwiseOptions(), "some.layer")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(16)]
    [InlineData(65)]
    [InlineData(8192)]
    public void Quantize_GivenABlockThatIsNone_ShouldSayWhatIs(int block) => Assert.Contains(
        "powers of two from 32 to 4096",
        Assert.Throws<UserErrorException>(() => BlockwiseQuantizer.Quantize(Random(64, 1), 1, new BlockwiseOptions { BlockSize = block }, "layer")).Message,
        StringComparison.Ordinal);

    [Fact]
    public void NestedScales_GivenEqualScales_ShouldKeepThem()
    {
        NestedScales nested = NestedScales.Quantize([0.25f, 0.25f, 0.25f]);
        Assert.Equal([0.25f, 0.25f, 0.25f], nested.Dequantize());
    }

    private static BlockwiseMatrix Quantize(GoldenTensors golden, string name, string type, bool doubled) => BlockwiseQuantizer.Quantize(
        golden.Floats(name + ".x"),
        (int)golden.Shape(name + ".x")[0],
        new BlockwiseOptions { Book = type == "nf4" ? CodeBook.NormalFloat4 : CodeBook.Float4, DoubleQuantization = doubled },
        name);

    private static GoldenTensors Golden(string matrix) => Travelling.Contains(matrix + ".x")
        ? Travelling
        : GoldenTensors.Read(RepositoryPaths.Shared("golden", "quantization", "bnb", "matrices.safetensors"));

    private static float[] Random(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() + random.NextDouble() + random.NextDouble()) - 1.5))];
    }

    private static void AssertBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual) =>
        Assert.Equal(System.Runtime.InteropServices.MemoryMarshal.AsBytes(expected), System.Runtime.InteropServices.MemoryMarshal.AsBytes(actual));
}
