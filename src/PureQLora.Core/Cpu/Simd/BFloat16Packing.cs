using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>
/// Packs operands as bfloat16 (<see cref="BFloat16Panels"/>). What the instructions multiply is a pair of inner elements in 32 bits: the
/// lower half comes first. An odd inner extent is filled up with a zero.
/// </summary>
internal static unsafe class BFloat16Packing
{
    /// <summary>Columns that are transposed together, and pairs that one transposition takes.</summary>
    private const int Square = 16;

    /// <summary>Stored values of a row that are moved at once.</summary>
    private const int StoredStep = 8;

    /// <summary>Floats of the buffer for so many rows or columns.</summary>
    public static long BufferLength(int outerCount) => Math.Max(2L * outerCount, Square * BFloat16Panels.InnerBlock);

    /// <summary>Left rows that run along the inner dimension.</summary>
    public static void CopyRows(in MatrixSource source, long row, int rows, long inner, int depth, byte* target, float* buffer)
    {
        for (int r = 0; r < rows; r++, target += BFloat16Panels.LeftStride)
        {
            if (source.BFloat16 is null)
            {
                Narrow(source.Row(row + r, inner, depth, buffer), (ushort*)target, depth);
                continue;
            }

            Span<ushort> copy = new(target, (depth + 1) & ~1);
            copy[^1] = 0;
            new ReadOnlySpan<ushort>(source.BFloat16At(row + r, inner), depth).CopyTo(copy);
        }
    }

    /// <summary>Left rows that run across the inner dimension: pairs of stored rows, transposed.</summary>
    [SkipLocalsInit]
    public static void TransposeRows(in MatrixSource source, long row, int rows, long inner, int depth, byte* target, float* buffer)
    {
        Vector512<uint>* square = stackalloc Vector512<uint>[Square];
        for (int p = 0; p < depth; p += 2 * Square)
        {
            int pairs = Math.Min(Square, (depth - p + 1) / 2);
            for (int first = 0; first < rows; first += Square)
            {
                int count = Math.Min(Square, rows - first);
                for (int pair = 0; pair < Square; pair++)
                {
                    square[pair] = pair < pairs ? Pair(source, inner + p + (2 * pair), depth - p - (2 * pair), row + first, count, buffer) : default;
                }

                StoreTransposed(square, target + (first * BFloat16Panels.LeftStride) + (p * sizeof(ushort)), BFloat16Panels.LeftStride, count);
            }
        }
    }

    /// <summary>Right columns that run along the inner dimension: transposed, 16 at a time.</summary>
    [SkipLocalsInit]
    public static void TransposePanels(in MatrixSource source, long column, int columns, long inner, int depth, byte* target, float* buffer)
    {
        if (source.Quantized4(out QuantizedNibbles nibbles) && nibbles.TryTransposePanels(column, columns, inner, depth, target))
        {
            return;
        }

        void** rows = stackalloc void*[Square];
        long panelBytes = (depth + 1) / 2 * BFloat16Panels.PairBytes;
        bool asStored = source.BFloat16 is not null && depth % StoredStep == 0;
        for (int first = 0; first < columns; first += Square)
        {
            byte* panel = target + (first / BFloat16Panels.Columns * panelBytes) + (first % BFloat16Panels.Columns * sizeof(uint));
            for (int r = 0; r < Square; r++)
            {
                // Columns that are not there repeat the last; their results are never stored.
                long row = column + Math.Min(first + r, columns - 1);
                rows[r] = asStored ? source.BFloat16At(row, inner)
                    : first + r < columns ? source.Row(row, inner, depth, buffer + (r * BFloat16Panels.InnerBlock))
                    : rows[r - 1];
            }

            if (asStored)
            {
                TransposeStored((byte**)rows, depth, panel);
            }
            else
            {
                TransposePanel((float**)rows, depth, panel);
            }
        }
    }

    /// <summary>Right columns that run across the inner dimension: pairs of stored rows, side by side.</summary>
    public static void InterleavePanels(in MatrixSource source, long column, int columns, long inner, int depth, byte* target, float* buffer)
    {
        if (source.Quantized4(out QuantizedNibbles nibbles) && nibbles.TryInterleavePanels(column, columns, inner, depth, target))
        {
            return;
        }

        long panelBytes = (depth + 1) / 2 * BFloat16Panels.PairBytes;
        bool asStored = source.BFloat16 is not null && columns % (2 * Square) == 0;
        for (int p = 0; p < depth; p += 2, target += BFloat16Panels.PairBytes)
        {
            bool hasOdd = p + 1 < depth;
            if (asStored)
            {
                InterleaveStored(source.BFloat16At(inner + p, column), hasOdd ? source.BFloat16At(inner + p + 1, column) : null, columns, target, panelBytes);
                continue;
            }

            float* even = source.Row(inner + p, column, columns, buffer);
            float* odd = hasOdd ? source.Row(inner + p + 1, column, columns, buffer + columns) : null;
            for (int first = 0; first < columns; first += Square)
            {
                byte* panel = target + (first / BFloat16Panels.Columns * panelBytes) + (first % BFloat16Panels.Columns * sizeof(uint));
                Interleave(even + first, odd is null ? null : odd + first, Math.Min(Square, columns - first)).Store((uint*)panel);
            }
        }
    }

    /// <summary>Rounds and transposes 16 rows.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransposePanel(float** rows, int depth, byte* panel)
    {
        Vector512<uint>* square = stackalloc Vector512<uint>[Square];
        for (int start = 0; start < depth; start += 2 * Square)
        {
            int length = Math.Min(2 * Square, depth - start);
            for (int r = 0; r < Square; r++)
            {
                square[r] = Narrow(rows[r] + start, length);
            }

            StoreTransposed(square, panel + (start / 2 * BFloat16Panels.PairBytes), BFloat16Panels.PairBytes, (length + 1) / 2);
        }
    }

    /// <summary>Transposes the pairs of 16 stored rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransposeStored(byte** rows, int depth, byte* panel)
    {
        for (long at = 0; at < depth * sizeof(ushort); at += StoredStep * sizeof(ushort), panel += StoredStep / 2 * BFloat16Panels.PairBytes)
        {
            PanelLanes.Store(
                PanelLanes.Load(rows, at).AsUInt32(),
                PanelLanes.Load(rows + 1, at).AsUInt32(),
                PanelLanes.Load(rows + 2, at).AsUInt32(),
                PanelLanes.Load(rows + 3, at).AsUInt32(),
                panel,
                BFloat16Panels.PairBytes);
        }
    }

    /// <summary>Pairs of two stored rows, of which the second may be missing, at columns of whole panels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void InterleaveStored(ushort* even, ushort* odd, int columns, byte* target, long panelBytes)
    {
        Vector512<ulong> lower = Vector512.Create(0UL, 1, 8, 9, 2, 3, 10, 11);
        Vector512<ulong> upper = Vector512.Create(4UL, 5, 12, 13, 6, 7, 14, 15);
        for (int first = 0; first < columns; first += 2 * Square, target += panelBytes)
        {
            Vector512<ushort> a = Vector512.Load(even + first);
            Vector512<ushort> b = odd is null ? default : Vector512.Load(odd + first);
            Vector512<ulong> low = Avx512BW.UnpackLow(a, b).AsUInt64(), high = Avx512BW.UnpackHigh(a, b).AsUInt64();
            Avx512F.PermuteVar8x64x2(low, lower, high).Store((ulong*)target);
            Avx512F.PermuteVar8x64x2(low, upper, high).Store((ulong*)(target + 64));
        }
    }

    /// <summary>Rounds a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow(float* source, ushort* target, int count)
    {
        int i = 0;
        for (; i <= count - 32; i += 32)
        {
            Narrow(Vector512.Load(source + i), Vector512.Load(source + i + 16)).Store((uint*)(target + i));
        }

        if (i < count)
        {
            Vector512<uint> rest = Narrow(source + i, count - i);
            Unsafe.CopyBlockUnaligned(target + i, &rest, (uint)(((count - i + 1) & ~1) * sizeof(ushort)));
        }
    }

    /// <summary>Up to 32 floats as 16 pairs; zeros behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Narrow(float* source, int count) =>
        count >= 32 ? Narrow(Vector512.Load(source), Vector512.Load(source + 16)) : NarrowPadded(source, count);

    private static Vector512<uint> NarrowPadded(float* source, int count)
    {
        float* padded = stackalloc float[32];
        new Span<float>(padded, 32).Clear();
        new Span<float>(source, count).CopyTo(new Span<float>(padded, 32));
        return Narrow(Vector512.Load(padded), Vector512.Load(padded + 16));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Narrow(Vector512<float> lower, Vector512<float> upper) =>
        Avx512BW.PermuteVar32x16x2(Rounded(lower).AsUInt16(), Vector512<ushort>.Indices + Vector512<ushort>.Indices + Vector512<ushort>.One, Rounded(upper).AsUInt16()).AsUInt32();

    /// <summary>Pairs of two stored rows, of which the second may be missing, at up to 16 columns.</summary>
    private static Vector512<uint> Pair(in MatrixSource source, long first, int rowsLeft, long column, int count, float* buffer)
    {
        float* even = source.Row(first, column, count, buffer);
        float* odd = rowsLeft > 1 ? source.Row(first + 1, column, count, buffer + Square) : null;
        return Interleave(even, odd, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Interleave(float* even, float* odd, int count)
    {
        if (count < Square)
        {
            return InterleavePadded(even, odd, count);
        }

        Vector512<uint> upper = odd is null ? default : Rounded(Vector512.Load(odd)) & Vector512.Create(0xFFFF0000u);
        return Vector512.ShiftRightLogical(Rounded(Vector512.Load(even)), 16) | upper;
    }

    private static Vector512<uint> InterleavePadded(float* even, float* odd, int count)
    {
        float* padded = stackalloc float[2 * Square];
        new Span<float>(padded, 2 * Square).Clear();
        new Span<float>(even, count).CopyTo(new Span<float>(padded, Square));
        if (odd is not null)
        {
            new Span<float>(odd, count).CopyTo(new Span<float>(padded + Square, Square));
        }

        return Interleave(padded, padded + Square, Square);
    }

    /// <summary>The bits of the nearest bfloat16 in the upper half of each lane; the lower half is undefined.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Rounded(Vector512<float> value)
    {
        Vector512<uint> bits = value.AsUInt32();
        Vector512<uint> rounded = bits + Vector512.Create(0x7FFFu) + (Vector512.ShiftRightLogical(bits, 16) & Vector512<uint>.One);

        // Rounding could carry a NaN into infinity; it keeps its upper bits and becomes quiet instead.
        return Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(), rounded, bits | Vector512.Create(0x400000u));
    }

    /// <summary>Stores the first columns of a 16 × 16 square as rows.</summary>
    private static void StoreTransposed(Vector512<uint>* square, byte* target, long stride, int count)
    {
        if (count >= Square)
        {
            Transpose(square, target, 4 * stride, stride);
            return;
        }

        byte* rows = stackalloc byte[Square * 64];
        Transpose(square, rows, 4 * 64, 64);
        for (int i = 0; i < count; i++)
        {
            Vector512.Load(rows + (i * 64)).Store(target + (i * stride));
        }
    }

    /// <summary>Stores the columns of a 16 × 16 square as rows: column 4 · l + k at l · <paramref name="lane"/> + k · <paramref name="step"/> bytes.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(Vector512<uint>* square, byte* target, long lane, long step)
    {
        Vector512<uint>* quads = stackalloc Vector512<uint>[Square];
        for (int i = 0; i < Square; i += 4)
        {
            (Vector512<uint> a, Vector512<uint> b, Vector512<uint> c, Vector512<uint> d) = (square[i], square[i + 1], square[i + 2], square[i + 3]);
            Vector512<ulong> lowAb = Avx512F.UnpackLow(a, b).AsUInt64(), highAb = Avx512F.UnpackHigh(a, b).AsUInt64();
            Vector512<ulong> lowCd = Avx512F.UnpackLow(c, d).AsUInt64(), highCd = Avx512F.UnpackHigh(c, d).AsUInt64();

            // Lane l of quads[4k + i / 4] holds column 4l + k of rows i … i + 3.
            quads[i / 4] = Avx512F.UnpackLow(lowAb, lowCd).AsUInt32();
            quads[4 + (i / 4)] = Avx512F.UnpackHigh(lowAb, lowCd).AsUInt32();
            quads[8 + (i / 4)] = Avx512F.UnpackLow(highAb, highCd).AsUInt32();
            quads[12 + (i / 4)] = Avx512F.UnpackHigh(highAb, highCd).AsUInt32();
        }

        for (int k = 0; k < 4; k++, quads += 4, target += step)
        {
            Vector512<uint> lowAb = Avx512F.Shuffle4x128(quads[0], quads[1], 0b01_00_01_00), highAb = Avx512F.Shuffle4x128(quads[0], quads[1], 0b11_10_11_10);
            Vector512<uint> lowCd = Avx512F.Shuffle4x128(quads[2], quads[3], 0b01_00_01_00), highCd = Avx512F.Shuffle4x128(quads[2], quads[3], 0b11_10_11_10);
            Avx512F.Shuffle4x128(lowAb, lowCd, 0b10_00_10_00).Store((uint*)target);
            Avx512F.Shuffle4x128(lowAb, lowCd, 0b11_01_11_01).Store((uint*)(target + lane));
            Avx512F.Shuffle4x128(highAb, highCd, 0b10_00_10_00).Store((uint*)(target + (2 * lane)));
            Avx512F.Shuffle4x128(highAb, highCd, 0b11_01_11_01).Store((uint*)(target + (3 * lane)));
        }
    }
}
