using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Transposes a matrix of 32-bit words, in tiles that stay in the nearest cache, tiles of rows in parallel.</summary>
internal static unsafe class WordTransposition
{
    /// <summary>Columns of a strip: a cache line of words, so that every line that is read is used whole.</summary>
    private const int Strip = 16;

    /// <summary>Words from which a second thread is worth its start.</summary>
    private const long ParallelWords = 1 << 16;

    /// <summary>target[column, row] = source[row, column]</summary>
    /// <param name="source">[rows, columns]</param>
    /// <param name="rows">Rows of the source.</param>
    /// <param name="columns">Columns of the source.</param>
    /// <param name="target">[columns, rows]</param>
    public static void Run(int* source, int rows, int columns, int* target)
    {
        int strips = (columns + Strip - 1) / Strip;
        if ((long)rows * columns < ParallelWords)
        {
            for (int strip = 0; strip < strips; strip++)
            {
                TransposeStrip(source, rows, columns, target, strip);
            }

            return;
        }

        Parallel.For(0, strips, strip => TransposeStrip(source, rows, columns, target, strip));
    }

    private static void TransposeStrip(int* source, int rows, int columns, int* target, int strip)
    {
        int first = strip * Strip;
        int count = Math.Min(Strip, columns - first);
        int row = 0;
        if (Avx.IsSupported && count == Strip)
        {
            for (; row + 8 <= rows; row += 8)
            {
                Transpose8(source + ((long)row * columns) + first, columns, target + ((long)first * rows) + row, rows);
                Transpose8(source + ((long)row * columns) + first + 8, columns, target + ((long)(first + 8) * rows) + row, rows);
            }
        }

        for (; row < rows; row++)
        {
            for (int column = first; column < first + count; column++)
            {
                target[((long)column * rows) + row] = source[((long)row * columns) + column];
            }
        }
    }

    private static void Transpose8(int* source, int sourceStride, int* target, int targetStride)
    {
        Vector256<float>* rows = stackalloc Vector256<float>[8];
        for (int i = 0; i < 4; i++)
        {
            // Rows i and i + 4 interleaved by halves, so that the last step needs no exchange of halves.
            rows[i] = Halves(source, sourceStride, i, 0);
            rows[i + 4] = Halves(source, sourceStride, i, 4);
        }

        for (int half = 0; half < 2; half++)
        {
            Vector256<float> a = rows[(4 * half) + 0], b = rows[(4 * half) + 1], c = rows[(4 * half) + 2], d = rows[(4 * half) + 3];
            Vector256<double> low01 = Avx.UnpackLow(a, b).AsDouble(), low23 = Avx.UnpackLow(c, d).AsDouble();
            Vector256<double> high01 = Avx.UnpackHigh(a, b).AsDouble(), high23 = Avx.UnpackHigh(c, d).AsDouble();
            int* to = target + ((long)(4 * half) * targetStride);
            Avx.UnpackLow(low01, low23).AsInt32().Store(to);
            Avx.UnpackHigh(low01, low23).AsInt32().Store(to + targetStride);
            Avx.UnpackLow(high01, high23).AsInt32().Store(to + (2L * targetStride));
            Avx.UnpackHigh(high01, high23).AsInt32().Store(to + (3L * targetStride));
        }
    }

    private static Vector256<float> Halves(int* source, int stride, int row, int column) => Vector256.Create(
        Vector128.Load(source + ((long)row * stride) + column), Vector128.Load(source + ((row + 4L) * stride) + column)).AsSingle();
}
