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
    /// <remarks>In four steps that interleave elements, pairs, and twice groups of four; each needs half as many rows to be near.</remarks>
    [SkipLocalsInit]
    public static void Run(float* source, long sourceStride, float* target, long targetStride)
    {
        Vector512<float>* rows = stackalloc Vector512<float>[Side];
        Vector512<float>* mixed = stackalloc Vector512<float>[Side];
        for (int i = 0; i < Side; i += 2)
        {
            (Vector512<float> even, Vector512<float> odd) = (Vector512.Load(source + (i * sourceStride)), Vector512.Load(source + ((i + 1) * sourceStride)));
            (rows[i], rows[i + 1]) = (Avx512F.UnpackLow(even, odd), Avx512F.UnpackHigh(even, odd));
        }

        // Now columns 4g + c of rows 4i … 4i + 3 are group g of mixed[4i + c].
        for (int i = 0; i < Side; i += 4)
        {
            for (int half = 0; half < 2; half++)
            {
                (Vector512<double> upper, Vector512<double> lower) = (rows[i + half].AsDouble(), rows[i + half + 2].AsDouble());
                mixed[i + (2 * half)] = Avx512F.UnpackLow(upper, lower).AsSingle();
                mixed[i + (2 * half) + 1] = Avx512F.UnpackHigh(upper, lower).AsSingle();
            }
        }

        for (int c = 0; c < 4; c++)
        {
            Vector512<float> even01 = Avx512F.Shuffle4x128(mixed[c], mixed[c + 4], 0b10_00_10_00);
            Vector512<float> odd01 = Avx512F.Shuffle4x128(mixed[c], mixed[c + 4], 0b11_01_11_01);
            Vector512<float> even23 = Avx512F.Shuffle4x128(mixed[c + 8], mixed[c + 12], 0b10_00_10_00);
            Vector512<float> odd23 = Avx512F.Shuffle4x128(mixed[c + 8], mixed[c + 12], 0b11_01_11_01);
            Avx512F.Shuffle4x128(even01, even23, 0b10_00_10_00).Store(target + (c * targetStride));
            Avx512F.Shuffle4x128(odd01, odd23, 0b10_00_10_00).Store(target + ((c + 4) * targetStride));
            Avx512F.Shuffle4x128(even01, even23, 0b11_01_11_01).Store(target + ((c + 8) * targetStride));
            Avx512F.Shuffle4x128(odd01, odd23, 0b11_01_11_01).Store(target + ((c + 12) * targetStride));
        }
    }
}
