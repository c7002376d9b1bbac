namespace PureQLora.Core.Tests;

public sealed class CodeBookTests
{
    public static TheoryData<string> Books => ["nf4", "fp4", "own"];

    [Theory]
    [MemberData(nameof(Books))]
    public void Encode_GivenAnyValue_ShouldChooseTheNearestLevel(string name)
    {
        CodeBook book = Book(name);
        float[] levels = [.. book.Levels];
        float[] values = [.. MatrixReference.Random(10_000, 1), .. levels, .. levels.Select(MathF.BitIncrement), 0f, -0f, 3f, -3f];
        byte[] codes = new byte[values.Length];

        book.Encode(values, codes);

        for (int i = 0; i < values.Length; i++)
        {
            Assert.InRange(codes[i], 0, CodeBook.Length - 1);
            Assert.Equal(levels.Min(level => Math.Abs((double)level - values[i])), Math.Abs((double)levels[codes[i]] - values[i]));
        }
    }

    [Fact]
    public void Encode_GivenAValueBetweenTwoLevels_ShouldTakeTheLower()
    {
        CodeBook book = Book("own");
        byte[] codes = new byte[3];

        book.Encode([0.5f, MathF.BitIncrement(0.5f), MathF.BitDecrement(0.5f)], codes);

        Assert.Equal([15, 14, 15], codes);
    }

    [Fact]
    public void New_GivenWhatIsNoBook_ShouldThrow()
    {
        Assert.Contains("there are 15", Assert.Throws<ArgumentException>(() => new CodeBook("short", new float[15])).Message, StringComparison.Ordinal);
        float[] levels = [.. CodeBook.NormalFloat4.Levels];
        levels[3] = float.NaN;
        Assert.Contains("NaN", Assert.Throws<ArgumentException>(() => new CodeBook("nan", levels)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(7, 29)]
    [InlineData(16, 64)]
    [InlineData(3, 1)]
    public void FromStream_GivenAnySize_ShouldTakeTheUpperHalfOfAByteFirst(int outDim, int inDim)
    {
        byte[] stream = new byte[((outDim * inDim) + 1) / 2];
        new Random(2).NextBytes(stream);
        using QuantizedMatrix matrix = QuantizedMatrix.FromStream(outDim, inDim, -1, stream, [.. Enumerable.Range(1, outDim).Select(row => row * 0.5f)], CodeBook.NormalFloat4);
        float[] values = matrix.Dequantize();
        for (int i = 0; i < values.Length; i++)
        {
            int code = i % 2 == 0 ? stream[i / 2] >> 4 : stream[i / 2] & 15;
            Assert.Equal(code, matrix.Code(i / inDim, i % inDim));
            Assert.Equal(((i / inDim) + 1) * 0.5f * CodeBook.NormalFloat4.Levels[code], values[i]);
            Assert.Equal(values[i], matrix[i / inDim, i % inDim]);
        }

        Assert.Equal($"nf4[{outDim}, {inDim}]", new WeightMatrix(matrix).ToString());
    }

    [Fact]
    public void FromStream_GivenTheWrongNumberOfBytes_ShouldThrow() => Assert.Contains(
        "needs 18 bytes; there are 17",
        Assert.Throws<ArgumentException>(() => QuantizedMatrix.FromStream(4, 9, -1, new byte[17], new float[4], CodeBook.NormalFloat4)).Message,
        StringComparison.Ordinal);

    private static CodeBook Book(string name) => name switch
    {
        "nf4" => CodeBook.NormalFloat4,
        "fp4" => CodeBook.Float4,
        _ => new CodeBook(name, [.. Enumerable.Range(0, CodeBook.Length).Select(code => 15f - code)]),
    };
}
