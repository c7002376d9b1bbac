using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Transposes 16 × 16 elements of 4 bytes.</summary>
internal static unsafe class SquareTransposition
{
    /// <summary>Rows and columns.</summary>
    public const int Side = 16;

    /// <summary>target[j, i] = source[i, j].</summary>
    /// <param name="source">Sixteen rows.</param>
    /// <param name="sourceStride">Elements from a row to the next.</param>
    /// <param name="target">Sixteen rows; not the source.</param>
    /// <param name="targetStride">Elements from a row to the next.</param>
    /// <remarks>Quarter q of a loaded vector comes from row 4q + i, so that what is left is to turn four by four inside of quarters.</remarks>
    public static void Run(float* source, long sourceStride, float* target, long targetStride)
    {
        for (int column = 0; column < Side; column += 4, source += 4, target += 4 * targetStride)
        {
            Vector512<float> a = Quarters(source, sourceStride), b = Quarters(source + sourceStride, sourceStride);
            Vector512<float> c = Quarters(source + (2 * sourceStride), sourceStride), d = Quarters(source + (3 * sourceStride), sourceStride);
            (Vector512<double> ab, Vector512<double> cd) = (Avx512F.UnpackLow(a, b).AsDouble(), Avx512F.UnpackLow(c, d).AsDouble());
            Avx512F.UnpackLow(ab, cd).AsSingle().Store(target);
            Avx512F.UnpackHigh(ab, cd).AsSingle().Store(target + targetStride);
            (ab, cd) = (Avx512F.UnpackHigh(a, b).AsDouble(), Avx512F.UnpackHigh(c, d).AsDouble());
            Avx512F.UnpackLow(ab, cd).AsSingle().Store(target + (2 * targetStride));
            Avx512F.UnpackHigh(ab, cd).AsSingle().Store(target + (3 * targetStride));
        }
    }

    /// <summary>Four elements each of rows 0, 4, 8 and 12.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Quarters(float* row, long stride)
    {
        Vector512<float> quarters = Vector128.Load(row).ToVector256Unsafe().ToVector512Unsafe();
        quarters = Avx512F.InsertVector128(quarters, Vector128.Load(row + (4 * stride)), 1);
        quarters = Avx512F.InsertVector128(quarters, Vector128.Load(row + (8 * stride)), 2);
        return Avx512F.InsertVector128(quarters, Vector128.Load(row + (12 * stride)), 3);
    }
}
