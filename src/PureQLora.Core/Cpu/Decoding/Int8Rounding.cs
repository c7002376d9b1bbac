using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>
/// How <see cref="Precision.Int8"/> rounds activations: in each row, each 128 columns from a multiple of 128 on share a step of
/// max |x| / 127, and x becomes step · q with q the nearest integer of x / step, ties to even. At most half a step off.
/// </summary>
internal static unsafe class Int8Rounding
{
    private const int Highest = 127;

    /// <summary>Pieces of a block whose Σ q are given one by one.</summary>
    public const int Quarters = 4;

    /// <summary>Rounds a block.</summary>
    /// <param name="x">[count]</param>
    /// <param name="count">At most 128.</param>
    /// <param name="target">[128], zero beyond count.</param>
    /// <param name="totals">[4], Σ q of each 32 columns.</param>
    /// <returns>The step.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Quantize(float* x, int count, sbyte* target, int* totals)
    {
        float* padded = stackalloc float[PackedRows.Block];
        if (count < PackedRows.Block)
        {
            new Span<float>(padded, PackedRows.Block).Clear();
            new ReadOnlySpan<float>(x, count).CopyTo(new Span<float>(padded, count));
            x = padded;
        }

        // Bits of floats without their sign are in the order of the floats, and those of NaN are above all.
        Vector256<int> highest = default;
        for (int i = 0; i < PackedRows.Block; i += 8)
        {
            highest = Vector256.Max(highest, Vector256.Abs(Vector256.Load(x + i)).AsInt32());
        }

        Vector128<int> half = Vector128.Max(highest.GetLower(), highest.GetUpper());
        float maximum = BitConverter.Int32BitsToSingle(Math.Max(Math.Max(half[0], half[1]), Math.Max(half[2], half[3])));

        // A step of zero or of NaN makes the product zero or NaN whatever the integers are.
        float step = maximum / Highest;
        float inverse = step > 0f && float.IsFinite(1f / step) ? 1f / step : 0f;
        for (int i = 0; i < PackedRows.Block; i += 32)
        {
            Vector256<int> a = Rounded(x + i, inverse), b = Rounded(x + i + 8, inverse);
            Vector256<int> c = Rounded(x + i + 16, inverse), d = Rounded(x + i + 24, inverse);
            totals[i / 32] = Vector256.Sum(a + b + c + d);
            Vector256.Narrow(Vector256.Narrow(a, b), Vector256.Narrow(c, d)).Store(target + i);
        }

        return step;
    }

    /// <summary>Replaces a row by what it is rounded to.</summary>
    public static void Round(float* x, int count, float* target)
    {
        sbyte* quantized = stackalloc sbyte[PackedRows.Block];
        int* totals = stackalloc int[Quarters];
        for (int start = 0; start < count; start += PackedRows.Block)
        {
            int length = Math.Min(PackedRows.Block, count - start);
            float step = Quantize(x + start, length, quantized, totals);
            for (int i = 0; i < length; i++)
            {
                target[start + i] = step * quantized[i];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Rounded(float* x, float inverse) => Vector256.ConvertToInt32Native(Vector256.Round(Vector256.Load(x) * inverse));
}
