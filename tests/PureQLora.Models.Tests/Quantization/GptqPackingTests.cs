using FsCheck;
using FsCheck.Fluent;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>The words of the shared golden values, which equal those of gptqmodel 7.7's own packer.</summary>
public sealed class GptqPackingTests
{
    private const int Out = 64;
    private const int In = 96;
    private const int Groups = 3;

    private static readonly int[] BitWidths = [2, 3, 4, 8];
    private static readonly GoldenTensors Golden = GoldenTensors.Read(RepositoryPaths.Fixture("quantization", "packing", "packing.safetensors"));

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    public void Weights_GivenGoldenCodes_ShouldBeTheLibrarysWords(int bits)
    {
        byte[] codes = Golden.Bytes($"b{bits}.codes");
        int[] words = Golden.Ints($"b{bits}.qweight");

        Assert.Equal(words, GptqPacking.PackWeights(codes, Out, In, bits));
        Assert.Equal(codes, GptqPacking.UnpackWeights(words, Out, In, bits, "layer"));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(8)]
    public void Zeros_GivenGoldenZeroPoints_ShouldBeTheLibrarysWords(int bits)
    {
        AssertZeros($"b{bits}.zeros", $"b{bits}.qzeros_v2", bits, GptqFormat.V2);
        AssertZeros($"b{bits}.zeros", $"b{bits}.qzeros_v1_library", bits, GptqFormat.V1);
        AssertZeros($"b{bits}.zeros_at_least_1", $"b{bits}.qzeros_v1_of_zeros_at_least_1", bits, GptqFormat.V1);
    }

    [Fact]
    public void Packing_GivenAnySizes_ShouldComeBack()
    {
        Gen<(int Streams, int Length, int Bits, int Seed)> sizes =
            from streams in Gen.Choose(1, 150)
            from length in Gen.Choose(1, 100)
            from bits in Gen.Elements(BitWidths)
            from seed in Gen.Choose(0, 1_000_000)
            select (streams, length, bits, seed);

        Prop.ForAll(sizes.ToArbitrary(), size =>
        {
            byte[] codes = Codes(size.Streams * size.Length, size.Bits, size.Seed);
            int[] words = GptqPacking.PackWeights(codes, size.Streams, size.Length, size.Bits);
            Assert.Equal(codes, GptqPacking.UnpackWeights(words, size.Streams, size.Length, size.Bits, "layer"));
            foreach (GptqFormat format in Enum.GetValues<GptqFormat>())
            {
                int[] zeros = GptqPacking.PackZeros(codes, size.Streams, size.Length, size.Bits, format);
                Assert.Equal(codes, GptqPacking.UnpackZeros(zeros, size.Streams, size.Length, size.Bits, format, "layer"));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(200).WithReplay(2, 3));
    }

    [Fact]
    public void Packing_GivenACodeThatDoesNotFit_ShouldThrow() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => GptqPacking.PackWeights([16], 1, 1, 4));

    [Theory]
    [InlineData(0, 8, 4)]
    [InlineData(-1, 8, 4)]
    [InlineData(8, 0, 4)]
    [InlineData(8, int.MinValue, 4)]
    [InlineData(int.MaxValue, int.MaxValue, 8)]
    [InlineData(8, 16, 4)]
    [InlineData(8, 8, 5)]
    [InlineData(8, 8, 0)]
    public void Unpacking_GivenSizesThatDoNotFit_ShouldBeRefused(int outFeatures, int second, int bits)
    {
        int[] words = new int[8]; // right for 8 × 8 codes of 4 bits

        Assert.Throws<UserErrorException>(() => GptqPacking.UnpackWeights(words, outFeatures, second, bits, "layer"));
        Assert.Throws<UserErrorException>(() => GptqPacking.UnpackZeros(words, outFeatures, second, bits, GptqFormat.V1, "layer"));
    }

    [Theory]
    [InlineData(4, -1, false, GptqFormat.V1)]
    [InlineData(3, 32, false, GptqFormat.V1)]
    [InlineData(4, 32, true, GptqFormat.V2)]
    [InlineData(2, 40, true, GptqFormat.V1)]
    public void Tensors_GivenAQuantizedLayer_ShouldComeBackExactly(int bits, int groupSize, bool actOrder, GptqFormat format)
    {
        var random = new Random(8);
        float[] weights = [.. Enumerable.Range(0, Out * In).Select(_ => random.NextSingle() - 0.5f)];
        var options = new GptqOptions { Bits = bits, GroupSize = groupSize, ActOrder = actOrder };
        QuantizationResult result = GptqQuantizer.Quantize(weights, Out, HessianFactorTests.PositiveDefinite(In, 1), options, "layer");
        using QuantizedMatrix matrix = result.ToMatrix();

        var tensors = GptqTensors.FromMatrix(matrix, format, "layer");
        using QuantizedMatrix read = tensors.ToMatrix("layer");

        Assert.Equal(result.Dequantize(), matrix.Dequantize());
        Assert.Equal(result.Dequantize(), read.Dequantize());
        Assert.Equal(Enumerable.Range(0, In).Select(result.GroupOf), tensors.GroupIndex);
        Assert.Equal(actOrder, !read.GroupIndex.IsEmpty);
    }

    [Fact]
    public void Tensors_GivenLies_ShouldBeRefused()
    {
        GptqTensors good = SmallTensors();
        good.ToMatrix("layer").Dispose();
        foreach (GptqTensors bad in new[]
        {
            good with { Bits = 8 }, good with { GroupSize = 0 }, good with { GroupSize = 4 }, good with { InFeatures = 24 },
            good with { OutFeatures = 4 }, good with { Weights = [] }, good with { Zeros = [] }, good with { Scales = new Half[9] },
            good with { Scales = [.. good.Scales[1..], Half.NaN] }, good with { Scales = [.. good.Scales[1..], Half.PositiveInfinity] },
            good with { GroupIndex = new int[3] }, good with { GroupIndex = [.. good.GroupIndex!.Skip(1), 2] },
            good with { GroupIndex = [.. good.GroupIndex!.Skip(1), -1] },
        })
        {
            UserErrorException error = Assert.Throws<UserErrorException>(() => bad.ToMatrix("model.layers.0").Dispose());
            Assert.EndsWith(".", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Tensors_GivenAnything_ShouldBeAMatrixOrAUserError()
    {
        GptqTensors good = SmallTensors();
        Gen<GptqTensors> tensors =
            from bits in Gen.Frequency((5, Gen.Constant(4)), (1, Gen.Choose(-1, 9)))
            from groupSize in Gen.Frequency((5, Gen.Constant(8)), (1, Gen.Elements(-2, -1, 0, 1, 7, 16, int.MaxValue, int.MinValue)))
            from inFeatures in Gen.Frequency((5, Gen.Constant(16)), (1, Gen.Elements(0, 1, 15, 17, int.MaxValue, int.MinValue)))
            from outFeatures in Gen.Frequency((5, Gen.Constant(8)), (1, Gen.Elements(0, 1, 7, 9, int.MaxValue, int.MinValue)))
            from word in Gen.Choose(int.MinValue, int.MaxValue)
            from index in Gen.Frequency((5, Gen.Constant(1)), (1, Gen.Choose(-3, 3)))
            select good with
            {
                Bits = bits,
                GroupSize = groupSize,
                InFeatures = inFeatures,
                OutFeatures = outFeatures,
                Weights = [word, .. good.Weights[1..]],
                Zeros = [word, .. good.Zeros[1..]],
                GroupIndex = [index, .. good.GroupIndex![1..]],
            };
        int matrices = 0;
        Prop.ForAll(tensors.ToArbitrary(), candidate =>
        {
            try
            {
                using QuantizedMatrix matrix = candidate.ToMatrix("layer");
                Assert.All(matrix.Dequantize(), value => Assert.True(float.IsFinite(value)));
                matrices++;
            }
            catch (UserErrorException)
            {
                // Refusing is the other right answer.
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500).WithReplay(4, 5));

        Assert.InRange(matrices, 1, 499);
    }

    [Theory]
    [InlineData("gptq_b4_g64_sym", GptqFormat.V1)]
    [InlineData("gptq_b4_g64_sym_desc_act", GptqFormat.V1)]
    [InlineData("gptq_v2_b4_g64_asym", GptqFormat.V2)]
    [InlineData("gptq_b8_g64_sym", GptqFormat.V1)]
    public void Tensors_GivenACheckpointOfGptqmodel_ShouldDequantizeToTheSameBitsAndPackToTheSameWords(string checkpoint, GptqFormat format)
    {
        string folder = RepositoryPaths.Shared("golden", "quantization", "checkpoints", checkpoint);
        GoldenTensors model = GoldenTensors.Read(Path.Combine(folder, "model.safetensors"));
        GoldenTensors reference = GoldenTensors.Read(Path.Combine(folder, "reference.safetensors"));
        string[] layers = [.. reference.Names.Where(name => name.EndsWith(".codes", StringComparison.Ordinal)).Select(name => name[..^".codes".Length])];
        Assert.Equal(2, layers.Length);
        foreach (string layer in layers)
        {
            var tensors = new GptqTensors
            {
                Bits = checkpoint.Contains("b8", StringComparison.Ordinal) ? 8 : 4,
                GroupSize = 64,
                Format = format,
                OutFeatures = (int)reference.Shape(layer + ".codes")[0],
                InFeatures = (int)reference.Shape(layer + ".codes")[1],
                Weights = model.Ints(layer + ".qweight"),
                Zeros = model.Ints(layer + ".qzeros"),
                Scales = Array.ConvertAll(model.Floats(layer + ".scales"), scale => (Half)scale),
                GroupIndex = model.Ints(layer + ".g_idx"),
            };

            using QuantizedMatrix matrix = tensors.ToMatrix(layer);
            var packed = GptqTensors.FromMatrix(matrix, format, layer);

            Assert.Equal(reference.Floats(layer + ".dequantized"), matrix.Dequantize());
            Assert.Equal(tensors.Weights, packed.Weights);
            Assert.Equal(tensors.Zeros, packed.Zeros);
            Assert.Equal(tensors.Scales, packed.Scales);
            Assert.Equal(tensors.GroupIndex, packed.GroupIndex);
        }
    }

    private static void AssertZeros(string zerosName, string wordsName, int bits, GptqFormat format)
    {
        byte[] zeros = Golden.Bytes(zerosName);
        int[] words = Golden.Ints(wordsName);
        Assert.Equal(words, GptqPacking.PackZeros(zeros, Out, Groups, bits, format));
        Assert.Equal(zeros, GptqPacking.UnpackZeros(words, Out, Groups, bits, format, "layer"));
    }

    private static GptqTensors SmallTensors()
    {
        using QuantizedMatrix matrix = QuantizedMatrix.FromCodes(
            8, 16, 4, 8, Codes(128, 4, 1), [.. Enumerable.Range(1, 16).Select(value => value / 64f)], Codes(16, 4, 2));
        return GptqTensors.FromMatrix(matrix, GptqFormat.V1, "layer");
    }

    private static byte[] Codes(int count, int bits, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (byte)random.Next(1 << bits))];
    }
}
