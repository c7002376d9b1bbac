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

        Assert.Equal(words, Words(codes, Out, In, bits));
        Assert.Equal(codes, Codes(words, Out, In, bits));
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
            int[] words = Words(codes, size.Streams, size.Length, size.Bits);
            Assert.Equal(codes, Codes(words, size.Streams, size.Length, size.Bits));
            foreach (GptqFormat format in Enum.GetValues<GptqFormat>())
            {
                int[] zeros = GptqPacking.PackZeros(codes, size.Streams, size.Length, size.Bits, format);
                Assert.Equal(codes, GptqPacking.UnpackZeros(zeros, size.Streams, size.Length, size.Bits, format, "layer"));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(200).WithReplay(2, 3));
    }

    [Fact]
    public void Packing_GivenACodeThatDoesNotFit_ShouldThrow() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => GptqPacking.PackZeros([16], 1, 1, 4, GptqFormat.V2));

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

        Assert.Throws<UserErrorException>(() => GptqPacking.UnpackZeros(words, outFeatures, second, bits, GptqFormat.V1, "layer"));
    }

    private static void AssertZeros(string zerosName, string wordsName, int bits, GptqFormat format)
    {
        byte[] zeros = Golden.Bytes(zerosName);
        int[] words = Golden.Ints(wordsName);
        Assert.Equal(words, GptqPacking.PackZeros(zeros, Out, Groups, bits, format));
        Assert.Equal(zeros, GptqPacking.UnpackZeros(words, Out, Groups, bits, format, "layer"));
    }

    private static int[] Words(byte[] codes, int outDim, int inDim, int bits)
    {
        using QuantizedMatrix matrix = QuantizedMatrix.FromCodes(outDim, inDim, bits, -1, codes, new float[outDim], new byte[outDim]);
        int[] words = new int[GptqPacking.WordCount(inDim, bits) * outDim];
        matrix.CopyWords(words);
        return words;
    }

    private static byte[] Codes(int[] words, int outDim, int inDim, int bits)
    {
        using QuantizedMatrix matrix = QuantizedMatrix.FromWords(outDim, inDim, bits, -1, words, new float[outDim], new byte[outDim]);
        byte[] codes = new byte[outDim * inDim];
        for (int row = 0; row < outDim; row++)
        {
            matrix.CopyCodes(row, codes.AsSpan(row * inDim, inDim));
        }

        return codes;
    }

    private static byte[] Codes(int count, int bits, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (byte)random.Next(1 << bits))];
    }
}
