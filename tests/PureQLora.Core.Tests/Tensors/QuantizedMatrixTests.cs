namespace PureQLora.Core.Tests;

public sealed class QuantizedMatrixTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(16, 64)]
    [InlineData(17, 65)]
    [InlineData(40, 261)]
    [InlineData(515, 1030)]
    public void FromWords_GivenAnySize_ShouldBeWhatTheCodesGive(int outDim, int inDim)
    {
        foreach (int bits in (int[])[2, 3, 4, 8])
        {
            byte[] codes = Codes(outDim, inDim, bits);
            float[] scales = [.. Enumerable.Range(1, outDim).Select(row => row * 0.5f)];
            byte[] zeros = [.. Enumerable.Range(0, outDim).Select(row => (byte)(row % 4))];
            using QuantizedMatrix expected = QuantizedMatrix.FromCodes(outDim, inDim, bits, -1, codes, scales, zeros);
            using QuantizedMatrix actual = QuantizedMatrix.FromWords(outDim, inDim, bits, -1, Words(codes, outDim, inDim, bits, padding: 0), scales, zeros);
            AssertSame(expected, actual);
        }
    }

    [Fact]
    public void FromWords_GivenBitsBehindTheLastCode_ShouldIgnoreThem()
    {
        const int OutDim = 20;
        const int InDim = 37;
        byte[] codes = Codes(OutDim, InDim, bits: 3);
        (float[] scales, byte[] zeros) = (new float[OutDim], new byte[OutDim]);
        using QuantizedMatrix expected = QuantizedMatrix.FromCodes(OutDim, InDim, 3, -1, codes, scales, zeros);
        using QuantizedMatrix actual = QuantizedMatrix.FromWords(OutDim, InDim, 3, -1, Words(codes, OutDim, InDim, 3, padding: uint.MaxValue), scales, zeros);
        AssertSame(expected, actual);
    }

    [Fact]
    public void FromWords_GivenTheWrongNumberOfWords_ShouldThrow() => Assert.Contains(
        "needs 8 words; there are 7",
        Assert.Throws<ArgumentException>(() => QuantizedMatrix.FromWords(4, 9, 4, -1, new int[7], new float[4], new byte[4])).Message,
        StringComparison.Ordinal);

    private static unsafe void AssertSame(QuantizedMatrix expected, QuantizedMatrix actual)
    {
        int length = checked((int)(expected.RowBytes * expected.OutDim));
        Assert.Equal(new ReadOnlySpan<byte>(expected.Codes, length), new ReadOnlySpan<byte>(actual.Codes, length));
        Assert.Equal(expected.Dequantize(), actual.Dequantize());
    }

    private static byte[] Codes(int outDim, int inDim, int bits)
    {
        byte[] codes = new byte[outDim * inDim];
        for (int i = 0; i < codes.Length; i++)
        {
            codes[i] = (byte)(RandomState.Bits(11, i) & ((1u << bits) - 1));
        }

        return codes;
    }

    /// <summary>[ceil(inDim · bits / 32), outDim], bit by bit.</summary>
    private static int[] Words(byte[] codes, int outDim, int inDim, int bits, uint padding)
    {
        int rowWords = ((inDim * bits) + 31) / 32;
        int[] words = new int[rowWords * outDim];
        for (int row = 0; row < outDim; row++)
        {
            for (int bit = 0; bit < 32 * rowWords; bit++)
            {
                uint value = bit < inDim * bits ? (uint)(codes[(row * inDim) + (bit / bits)] >> (bit % bits)) & 1 : padding & 1;
                words[(bit / 32 * outDim) + row] |= (int)(value << (bit % 32));
            }
        }

        return words;
    }
}
