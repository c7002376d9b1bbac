using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>
/// A 4-bit weight whose groups are multiples of 32 columns in order, straight to bfloat16 panels: 64 bytes hold 128 codes, and four
/// look-ups in a table of the group's 16 values turn them into bfloat16. The values are those of <see cref="QuantizedRows"/>, rounded.
/// </summary>
/// <remarks>Word w of 64 bytes holds codes 4w … 4w + 3; look-up j takes code 4w + j of every word.</remarks>
internal readonly unsafe struct QuantizedNibbles
{
    private const int Block = 128;

    /// <summary>Codes of one 128-bit lane; they belong to one group.</summary>
    private const int Chunk = 32;

    /// <summary>Rows that are transposed together: the 32-bit lanes of a vector.</summary>
    private const int Square = 16;

    private readonly byte* _codes;
    private readonly float* _scales;
    private readonly byte* _zeros;
    private readonly float* _levels;
    private readonly long _rowBytes;
    private readonly long _groupSize;
    private readonly int _groups;

    private QuantizedNibbles(QuantizedMatrix matrix)
    {
        _codes = matrix.Codes;
        _scales = matrix.Scales;
        _zeros = matrix.Zeros;
        _levels = matrix.Levels;
        (_rowBytes, _groupSize, _groups) = (matrix.RowBytes, matrix.GroupSize, matrix.Groups);
    }

    /// <summary>True where the weight is stored in a way that this reads.</summary>
    public static bool TryCreate(QuantizedMatrix matrix, out QuantizedNibbles nibbles)
    {
        bool fits = matrix.Bits == 4 && matrix.GroupIndexPointer is null && (matrix.GroupSize % 32 == 0 || matrix.Groups == 1);
        nibbles = fits ? new QuantizedNibbles(matrix) : default;
        return fits;
    }

    /// <summary>Packs weight rows as right columns (forward); false where the piece is not made of whole chunks.</summary>
    public bool TryTransposePanels(long row, int rows, long inner, int depth, byte* target)
    {
        if (inner % Chunk != 0 || depth % Chunk != 0)
        {
            return false;
        }

        long panelBytes = (long)depth / 2 * BFloat16Panels.PairBytes;
        for (int first = 0; first < rows; first += Square)
        {
            byte* panel = target + (first / BFloat16Panels.Columns * panelBytes) + (first % BFloat16Panels.Columns * sizeof(uint));
            TransposeRows(row + first, Math.Min(Square, rows - first), inner, depth, panel);
        }

        return true;
    }

    /// <summary>Packs weight columns as right columns (backward); false where the piece is not made of whole blocks.</summary>
    public bool TryInterleavePanels(long column, int columns, long inner, int depth, byte* target)
    {
        if (column % Block != 0 || columns % Block != 0 || depth % 2 != 0)
        {
            return false;
        }

        long panelBytes = (long)depth / 2 * BFloat16Panels.PairBytes;
        for (int p = 0; p < depth; p += 2, target += BFloat16Panels.PairBytes)
        {
            for (int first = 0; first < columns; first += Block)
            {
                PairsAcrossRows(inner + p, column + first, target + (first / BFloat16Panels.Columns * panelBytes), panelBytes);
            }
        }

        return true;
    }

    /// <summary>Packs 16 rows, their codes arranged by <see cref="PanelLanes"/>; what is looked up stays in its lane.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TransposeRows(long row, int rows, long inner, int depth, byte* panel)
    {
        Vector512<ushort>* tables = stackalloc Vector512<ushort>[8];
        byte** codes = stackalloc byte*[Square];
        for (int r = 0; r < Square; r++)
        {
            // Rows that are not there repeat the last; their results are never stored.
            codes[r] = _codes + ((row + Math.Min(r, rows - 1)) * _rowBytes);
        }

        long groupEnd = 0;
        for (long column = inner; column < inner + depth; column += Chunk, panel += Chunk / 2 * BFloat16Panels.PairBytes)
        {
            if (column >= groupEnd)
            {
                long group = column / _groupSize;
                TablesOfRows(row, rows, group, tables);
                groupEnd = (group + 1) * _groupSize;
            }

            PairsOfRows(codes, column, tables, out Vector512<uint> a0, out Vector512<uint> b0, out Vector512<uint> c0, out Vector512<uint> d0);
            PairsOfRows(codes + 1, column, tables + 2, out Vector512<uint> a1, out Vector512<uint> b1, out Vector512<uint> c1, out Vector512<uint> d1);
            PairsOfRows(codes + 2, column, tables + 4, out Vector512<uint> a2, out Vector512<uint> b2, out Vector512<uint> c2, out Vector512<uint> d2);
            PairsOfRows(codes + 3, column, tables + 6, out Vector512<uint> a3, out Vector512<uint> b3, out Vector512<uint> c3, out Vector512<uint> d3);
            PanelLanes.Store(a0, a1, a2, a3, panel, 2 * BFloat16Panels.PairBytes);
            PanelLanes.Store(b0, b1, b2, b3, panel + BFloat16Panels.PairBytes, 2 * BFloat16Panels.PairBytes);
            PanelLanes.Store(c0, c1, c2, c3, panel + (8 * BFloat16Panels.PairBytes), 2 * BFloat16Panels.PairBytes);
            PanelLanes.Store(d0, d1, d2, d3, panel + (9 * BFloat16Panels.PairBytes), 2 * BFloat16Panels.PairBytes);
        }
    }

    /// <summary>The values of a group of 16 rows: for each q those of rows q, 4 + q, 8 + q and 12 + q in two vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void TablesOfRows(long row, int rows, long group, Vector512<ushort>* tables)
    {
        for (int i = 0; i < 8; i++)
        {
            int first = ((i & 1) * 8) + (i >> 1);
            tables[i] = Vector512.Create(Values(row + Math.Min(first, rows - 1), group), Values(row + Math.Min(first + 4, rows - 1), group));
        }
    }

    /// <summary>
    /// 32 values of the rows at 0, 4, 8 and 12, a row a lane: in every lane <paramref name="a"/> holds pairs 0, 2, 4, 6,
    /// <paramref name="b"/> 1, 3, 5, 7, <paramref name="c"/> and <paramref name="d"/> the eight that follow.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PairsOfRows(
        byte** rows, long column, Vector512<ushort>* tables, out Vector512<uint> a, out Vector512<uint> b, out Vector512<uint> c, out Vector512<uint> d)
    {
        Vector512<ushort> words = PanelLanes.Load(rows, column / 2).AsUInt16();
        LookUpQuarters(words, tables[0], tables[1], out Vector512<ushort> v0, out Vector512<ushort> v1, out Vector512<ushort> v2, out Vector512<ushort> v3);
        a = Avx512BW.UnpackLow(v0, v1).AsUInt32();
        b = Avx512BW.UnpackLow(v2, v3).AsUInt32();
        c = Avx512BW.UnpackHigh(v0, v1).AsUInt32();
        d = Avx512BW.UnpackHigh(v2, v3).AsUInt32();
    }

    /// <summary>128 columns of two rows as pairs, 32 columns a panel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void PairsAcrossRows(long row, long column, byte* target, long panelBytes)
    {
        LookUp(row, column, out Vector512<ushort> a0, out Vector512<ushort> a1, out Vector512<ushort> a2, out Vector512<ushort> a3);
        LookUp(row + 1, column, out Vector512<ushort> b0, out Vector512<ushort> b1, out Vector512<ushort> b2, out Vector512<ushort> b3);
        StoreColumns(
            Avx512BW.UnpackLow(a0, b0), Avx512BW.UnpackLow(a1, b1), Avx512BW.UnpackLow(a2, b2), Avx512BW.UnpackLow(a3, b3), target, panelBytes);
        StoreColumns(
            Avx512BW.UnpackHigh(a0, b0), Avx512BW.UnpackHigh(a1, b1), Avx512BW.UnpackHigh(a2, b2), Avx512BW.UnpackHigh(a3, b3), target + 64, panelBytes);
    }

    /// <summary>Lane l of vector j holds columns j, 4 + j, 8 + j and 12 + j of panel l: 4 × 4 transpositions within lanes, then of lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreColumns(
        Vector512<ushort> j0, Vector512<ushort> j1, Vector512<ushort> j2, Vector512<ushort> j3, byte* target, long panelBytes)
    {
        Vector512<ulong> low01 = Avx512F.UnpackLow(j0.AsUInt32(), j1.AsUInt32()).AsUInt64(), high01 = Avx512F.UnpackHigh(j0.AsUInt32(), j1.AsUInt32()).AsUInt64();
        Vector512<ulong> low23 = Avx512F.UnpackLow(j2.AsUInt32(), j3.AsUInt32()).AsUInt64(), high23 = Avx512F.UnpackHigh(j2.AsUInt32(), j3.AsUInt32()).AsUInt64();
        Vector512<ulong> q0 = Avx512F.UnpackLow(low01, low23), q1 = Avx512F.UnpackHigh(low01, low23);
        Vector512<ulong> q2 = Avx512F.UnpackLow(high01, high23), q3 = Avx512F.UnpackHigh(high01, high23);
        Vector512<ulong> low = Avx512F.Shuffle4x128(q0, q1, 0b01_00_01_00), high = Avx512F.Shuffle4x128(q0, q1, 0b11_10_11_10);
        Vector512<ulong> lower = Avx512F.Shuffle4x128(q2, q3, 0b01_00_01_00), higher = Avx512F.Shuffle4x128(q2, q3, 0b11_10_11_10);
        Avx512F.Shuffle4x128(low, lower, 0b10_00_10_00).Store((ulong*)target);
        Avx512F.Shuffle4x128(low, lower, 0b11_01_11_01).Store((ulong*)(target + panelBytes));
        Avx512F.Shuffle4x128(high, higher, 0b10_00_10_00).Store((ulong*)(target + (2 * panelBytes)));
        Avx512F.Shuffle4x128(high, higher, 0b11_01_11_01).Store((ulong*)(target + (3 * panelBytes)));
    }

    /// <summary>128 values from a column on that is a multiple of 128.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void LookUp(long row, long column, out Vector512<ushort> v0, out Vector512<ushort> v1, out Vector512<ushort> v2, out Vector512<ushort> v3)
    {
        Vector512<ushort> words = Vector512.Load(_codes + (row * _rowBytes) + (column / 2)).AsUInt16();
        long firstGroup = column / _groupSize;
        Vector512<ushort> mask = Vector512.Create((ushort)15);
        if ((column + Block - 1) / _groupSize == firstGroup)
        {
            Vector512<ushort> table = Table(row, firstGroup, firstGroup);
            v0 = Avx512BW.PermuteVar32x16(table, words & mask);
            v1 = Avx512BW.PermuteVar32x16(table, Vector512.ShiftRightLogical(words, 4) & mask);
            v2 = Avx512BW.PermuteVar32x16(table, Vector512.ShiftRightLogical(words, 8) & mask);
            v3 = Avx512BW.PermuteVar32x16(table, Vector512.ShiftRightLogical(words, 12));
            return;
        }

        // Up to four groups: words 8i … 8i + 7 belong to quarter i.
        Vector512<ushort> lower = Table(row, firstGroup, (column + 32) / _groupSize);
        Vector512<ushort> upper = Table(row, (column + 64) / _groupSize, (column + 96) / _groupSize);
        LookUpQuarters(words, lower, upper, out v0, out v1, out v2, out v3);
    }

    /// <summary>Values of codes whose four 128-bit lanes have a table of 16 values each, two of them in either vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LookUpQuarters(
        Vector512<ushort> words, Vector512<ushort> lower, Vector512<ushort> upper, out Vector512<ushort> v0, out Vector512<ushort> v1, out Vector512<ushort> v2, out Vector512<ushort> v3)
    {
        Vector512<ushort> mask = Vector512.Create((ushort)15);
        Vector512<ushort> quarters = Vector512.ShiftLeft(Vector512<ushort>.Indices & Vector512.Create((ushort)24), 1);
        v0 = Avx512BW.PermuteVar32x16x2(lower, (words & mask) | quarters, upper);
        v1 = Avx512BW.PermuteVar32x16x2(lower, (Vector512.ShiftRightLogical(words, 4) & mask) | quarters, upper);
        v2 = Avx512BW.PermuteVar32x16x2(lower, (Vector512.ShiftRightLogical(words, 8) & mask) | quarters, upper);
        v3 = Avx512BW.PermuteVar32x16x2(lower, Vector512.ShiftRightLogical(words, 12) | quarters, upper);
    }

    /// <summary>The 16 values of two groups as bfloat16; nibbles above 15 do not occur, so one group twice is a table of 32 entries.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<ushort> Table(long row, long first, long second)
    {
        Vector256<ushort> lower = Values(row, first);
        return Vector512.Create(lower, first == second ? lower : Values(row, second));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<ushort> Values(long row, long group)
    {
        long at = (row * _groups) + group;
        Vector512<float> values = (Vector512.Load(_levels) - Vector512.Create((float)_zeros[at])) * Vector512.Create(_scales[at]);
        Vector512<uint> bits = values.AsUInt32();
        Vector512<uint> rounded = bits + Vector512.Create(0x7FFFu) + (Vector512.ShiftRightLogical(bits, 16) & Vector512<uint>.One);
        return Avx512F.ConvertToVector256UInt16(Vector512.ShiftRightLogical(rounded, 16));
    }
}
