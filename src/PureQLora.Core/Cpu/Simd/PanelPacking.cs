using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Copies a block of an operand into the order in which the micro-kernel reads it: panels of [k, width], one after the other.</summary>
/// <typeparam name="TKernel">Decides the panels' widths.</typeparam>
internal static unsafe class PanelPacking<TKernel>
    where TKernel : struct, IMicroKernel
{
    /// <summary>Inner elements that are converted before they are transposed: all rows of a panel then fit the L1 cache.</summary>
    private const int InnerStep = 128;

    /// <summary>Rows between a prefetch and its use.</summary>
    private const int PrefetchDistance = 8;

    /// <summary>Floats of the buffer that <see cref="Pack"/> needs.</summary>
    public static long BufferLength(int outerCount) => Math.Max(outerCount, InnerStep * Math.Max(TKernel.Columns, TKernel.TallestRows));

    /// <summary>
    /// Packs outer indices outer … outer + outerCount − 1 (rows of a left operand, columns of a right one) by inner indices
    /// inner … inner + innerCount − 1. What a last panel has beyond outerCount stays undefined.
    /// </summary>
    /// <param name="source">The operand as stored.</param>
    /// <param name="innerContiguous">True where a stored row runs along the inner dimension.</param>
    /// <param name="isLeft">Panels of the kernel's heights instead of its width.</param>
    /// <param name="outer">First outer index.</param>
    /// <param name="outerCount">How many.</param>
    /// <param name="inner">First inner index.</param>
    /// <param name="innerCount">How many.</param>
    /// <param name="target">The panel that starts at outer index i is at i · innerCount.</param>
    /// <param name="buffer">Working memory.</param>
    public static void Pack(
        in MatrixSource source, bool innerContiguous, bool isLeft, long outer, int outerCount, long inner, int innerCount, float* target, float* buffer)
    {
        if (innerContiguous)
        {
            for (int i = 0; i < outerCount;)
            {
                int width = isLeft ? TKernel.PanelHeight(outerCount - i) : TKernel.Columns;
                TransposePanel(source, outer + i, Math.Min(width, outerCount - i), inner, innerCount, width, target + ((long)i * innerCount), buffer);
                i += width;
            }

            return;
        }

        for (int p = 0; p < innerCount; p++)
        {
            if (p + PrefetchDistance < innerCount)
            {
                source.Prefetch(inner + p + PrefetchDistance, outer, outerCount);
            }

            Distribute(source.Row(inner + p, outer, outerCount, buffer), isLeft, outerCount, innerCount, p, target);
        }
    }

    /// <summary>One stored row, cut into the panels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Distribute(float* row, bool isLeft, int outerCount, int innerCount, int p, float* target)
    {
        int i = 0;
        int whole = isLeft ? 0 : TKernel.Columns;
        float* at = target + ((long)p * whole);
        for (; whole > 0 && i <= outerCount - whole; i += whole, at += (long)whole * innerCount)
        {
            for (int j = 0; j < TKernel.Columns; j += 8)
            {
                Vector256.Load(row + i + j).Store(at + j);
            }
        }

        while (i < outerCount)
        {
            int width = isLeft ? TKernel.PanelHeight(outerCount - i) : TKernel.Columns;
            Copy(row + i, target + ((long)i * innerCount) + (p * width), Math.Min(width, outerCount - i));
            i += width;
        }
    }

    private static void TransposePanel(
        in MatrixSource source, long outer, int count, long inner, int innerCount, int width, float* target, float* buffer)
    {
        float** rows = stackalloc float*[width];
        for (int p = 0; p < innerCount; p += InnerStep)
        {
            int length = Math.Min(InnerStep, innerCount - p);
            for (int r = 0; r < width; r++)
            {
                // Rows that are not there repeat the first; their results are never stored.
                rows[r] = r < count ? source.Row(outer + r, inner + p, length, buffer + (r * InnerStep)) : rows[0];
            }

            Transpose(rows, width, length, target + ((long)p * width));
        }
    }

    /// <summary>target(p, r) = rows(r, p).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(float** rows, int width, int length, float* target)
    {
        int p = 0;
        if (Avx.IsSupported && width >= 8)
        {
            for (; p <= length - 8; p += 8)
            {
                // The last block may overlap the one before it, and writes the same values again.
                for (int r = 0; r < width; r += 8)
                {
                    int first = Math.Min(r, width - 8);
                    Transpose8(rows + first, p, target + ((long)p * width) + first, width);
                }
            }
        }
        else if (Sse.IsSupported && width >= 4)
        {
            for (; p <= length - 4; p += 4)
            {
                for (int r = 0; r < width; r += 4)
                {
                    int first = Math.Min(r, width - 4);
                    Transpose4(rows + first, p, target + ((long)p * width) + first, width);
                }
            }
        }

        for (; p < length; p++)
        {
            for (int r = 0; r < width; r++)
            {
                target[((long)p * width) + r] = rows[r][p];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose8(float** rows, int p, float* target, int width)
    {
        (Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d) = Quads(rows, p);
        (Vector256<float> e, Vector256<float> f, Vector256<float> g, Vector256<float> h) = Quads(rows + 4, p);
        Avx.Permute2x128(a, e, 0x20).Store(target);
        Avx.Permute2x128(b, f, 0x20).Store(target + width);
        Avx.Permute2x128(c, g, 0x20).Store(target + (2 * width));
        Avx.Permute2x128(d, h, 0x20).Store(target + (3 * width));
        Avx.Permute2x128(a, e, 0x31).Store(target + (4 * width));
        Avx.Permute2x128(b, f, 0x31).Store(target + (5 * width));
        Avx.Permute2x128(c, g, 0x31).Store(target + (6 * width));
        Avx.Permute2x128(d, h, 0x31).Store(target + (7 * width));
    }

    /// <summary>Columns p + i and p + 4 + i of four rows, in the halves of result i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> First, Vector256<float> Second, Vector256<float> Third, Vector256<float> Fourth) Quads(float** rows, int p)
    {
        (Vector256<float> a, Vector256<float> b) = (Vector256.Load(rows[0] + p), Vector256.Load(rows[1] + p));
        (Vector256<float> c, Vector256<float> d) = (Vector256.Load(rows[2] + p), Vector256.Load(rows[3] + p));
        (Vector256<float> lowAb, Vector256<float> highAb) = (Avx.UnpackLow(a, b), Avx.UnpackHigh(a, b));
        (Vector256<float> lowCd, Vector256<float> highCd) = (Avx.UnpackLow(c, d), Avx.UnpackHigh(c, d));
        return (
            Avx.Shuffle(lowAb, lowCd, 0b01_00_01_00),
            Avx.Shuffle(lowAb, lowCd, 0b11_10_11_10),
            Avx.Shuffle(highAb, highCd, 0b01_00_01_00),
            Avx.Shuffle(highAb, highCd, 0b11_10_11_10));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4(float** rows, int p, float* target, int width)
    {
        (Vector128<float> a, Vector128<float> b) = (Vector128.Load(rows[0] + p), Vector128.Load(rows[1] + p));
        (Vector128<float> c, Vector128<float> d) = (Vector128.Load(rows[2] + p), Vector128.Load(rows[3] + p));
        (Vector128<float> lowAb, Vector128<float> highAb) = (Sse.UnpackLow(a, b), Sse.UnpackHigh(a, b));
        (Vector128<float> lowCd, Vector128<float> highCd) = (Sse.UnpackLow(c, d), Sse.UnpackHigh(c, d));
        Sse.MoveLowToHigh(lowAb, lowCd).Store(target);
        Sse.MoveHighToLow(lowCd, lowAb).Store(target + width);
        Sse.MoveLowToHigh(highAb, highCd).Store(target + (2 * width));
        Sse.MoveHighToLow(highCd, highAb).Store(target + (3 * width));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy(float* source, float* target, int count)
    {
        if (count < 8)
        {
            for (int i = 0; i < count; i++)
            {
                target[i] = source[i];
            }

            return;
        }

        // The last vector may overlap the one before it. A panel of 14 or 16 takes two, without a loop.
        if (count <= 16)
        {
            Vector256.Load(source).Store(target);
            Vector256.Load(source + count - 8).Store(target + count - 8);
            return;
        }

        for (int i = 0; i < count; i += 8)
        {
            int first = Math.Min(i, count - 8);
            Vector256.Load(source + first).Store(target + first);
        }
    }
}
