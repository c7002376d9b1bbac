using System.Runtime.InteropServices;

namespace PureQLora.Core.Tests;

/// <summary>Random operands of a tile kernel, each in exactly the memory that its contract promises, and the product in float64.</summary>
internal sealed unsafe class TileOperands : IDisposable
{
    private const int Columns = BFloat16Panels.Columns;

    private readonly int _height;
    private readonly int _depth;
    private readonly float[] _before;

    /// <param name="height">Rows of the product.</param>
    /// <param name="readableRows">Rows that the kernel may read.</param>
    /// <param name="depth">Inner extent.</param>
    /// <param name="stride">Floats from a row of c to the next.</param>
    /// <param name="value">Gives the numbers; they are rounded to bfloat16.</param>
    public TileOperands(int height, int readableRows, int depth, int stride, Func<float> value)
    {
        (_height, _depth, Stride) = (height, depth, stride);
        (LeftBytes, RightBytes) = (readableRows * BFloat16Panels.LeftStride, Pairs * BFloat16Panels.PairBytes);
        Left = Allocate(LeftBytes);
        Right = Allocate(RightBytes);
        C = (float*)Allocate(CBytes);

        // What no operand fills is a NaN: whoever lets it into a result is found out.
        new Span<ushort>(Left, LeftBytes / 2).Fill(0x7FC0);
        new Span<ushort>(Right, RightBytes / 2).Fill(0x7FC0);
        for (int p = 0; p < 2 * Pairs; p++)
        {
            for (int i = 0; i < height; i++)
            {
                LeftAt(i, p) = p < depth ? Round(value()) : (ushort)0;
            }

            for (int j = 0; j < Columns; j++)
            {
                RightAt(p, j) = p < depth ? Round(value()) : (ushort)0;
            }
        }

        for (int i = 0; i < CBytes / sizeof(float); i++)
        {
            C[i] = value();
        }

        _before = new Span<float>(C, CBytes / sizeof(float)).ToArray();
    }

    public byte* Left { get; }

    public int LeftBytes { get; }

    public byte* Right { get; }

    public int RightBytes { get; }

    public float* C { get; }

    public int CBytes => (((_height - 1) * Stride) + Columns) * sizeof(float);

    public int Stride { get; }

    public int Pairs => (_depth + 1) / 2;

    public TileArguments Arguments(float alpha) => new()
    {
        Left = Left,
        Right = Right,
        Pairs = Pairs,
        C = C,
        StrideBytes = Stride * sizeof(float),
        Alpha = alpha,
    };

    /// <summary>The result's memory as it is now, as it was before.</summary>
    public float[] TakeResult()
    {
        float[] result = new Span<float>(C, _before.Length).ToArray();
        _before.CopyTo(new Span<float>(C, _before.Length));
        return result;
    }

    /// <summary>Element by element against float64; the tolerance is that of float32 sums of so many terms.</summary>
    public void AssertProduct(float[] result, float alpha, bool accumulate)
    {
        for (int at = 0; at < result.Length; at++)
        {
            (int i, int j) = Math.DivRem(at, Stride);
            if (j >= Columns)
            {
                Assert.Equal(_before[at], result[at]);
                continue;
            }

            double sum = 0;
            double magnitude = 0;
            for (int p = 0; p < _depth; p++)
            {
                double product = (double)Value(LeftAt(i, p)) * Value(RightAt(p, j));
                sum += product;
                magnitude += Math.Abs(product);
            }

            double expected = (alpha * sum) + (accumulate ? _before[at] : 0);
            double tolerance = (Math.Abs(alpha) * magnitude * (_depth + 4) + Math.Abs(expected)) * MathF.Pow(2, -24);
            Assert.True(Math.Abs(result[at] - expected) <= tolerance, $"Element {i}, {j} is {result[at]}, expected {expected} ± {tolerance}.");
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(Left);
        NativeMemory.AlignedFree(Right);
        NativeMemory.AlignedFree(C);
    }

    private static byte* Allocate(int bytes) => (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 64);

    private static ushort Round(float value) => ((BFloat16)value).Bits;

    private static float Value(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    private ref ushort LeftAt(int row, int inner) => ref ((ushort*)(Left + (row * BFloat16Panels.LeftStride)))[inner];

    private ref ushort RightAt(int inner, int column) => ref ((ushort*)(Right + (inner / 2 * BFloat16Panels.PairBytes)))[(2 * column) + (inner % 2)];
}
