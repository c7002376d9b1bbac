using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>Dequantisation of pieces of rows: scale · (code − zero), or scale · level(code), the same bits at every tier.</summary>
internal readonly unsafe struct QuantizedRows
{
    private readonly byte* _codes;
    private readonly float* _scales;
    private readonly byte* _zeros;
    private readonly int* _groupIndex;
    private readonly float* _levels;
    private readonly bool _hasBook;
    private readonly long _rowBytes;
    private readonly int _bits;
    private readonly int _groupSize;
    private readonly int _groups;
    private readonly CpuTier _tier;

    public QuantizedRows(QuantizedMatrix matrix, CpuTier tier)
    {
        _codes = matrix.Codes;
        _scales = matrix.Scales;
        _zeros = matrix.Zeros;
        _groupIndex = matrix.GroupIndexPointer;
        _levels = matrix.Levels;
        _hasBook = matrix.CodeBook is not null;
        (_rowBytes, _bits, _groupSize, _groups) = (matrix.RowBytes, matrix.Bits, matrix.GroupSize, matrix.Groups);
        _tier = tier >= CpuTier.Avx512 ? (Avx512F.IsSupported ? CpuTier.Avx512 : CpuTier.Avx2) : tier;
        if (_tier == CpuTier.Avx2 && !Avx2.IsSupported)
        {
            _tier = CpuTier.Vector128;
        }
    }

    /// <summary>Asks for the codes of columns start … start + count − 1, their scales and zero points, ahead of their use.</summary>
    public void Prefetch(long row, int start, int count)
    {
        MatrixSource.Prefetch(_codes + (row * _rowBytes) + ((long)start * _bits / 8), (long)count * _bits / 8);
        long first = (row * _groups) + (start / _groupSize);
        long groups = ((start + count - 1) / _groupSize) - (start / _groupSize) + 1;
        MatrixSource.Prefetch((byte*)(_scales + first), groups * sizeof(float));
        MatrixSource.Prefetch(_zeros + first, groups);
    }

    /// <summary>Writes the values of columns start … start + count − 1.</summary>
    public void Dequantize(long row, int start, int count, float* target)
    {
        byte* codes = _codes + (row * _rowBytes);
        float* scales = _scales + (row * _groups);
        byte* zeros = _zeros + (row * _groups);
        int end = start + count;
        if (_groupIndex is not null)
        {
            for (int column = start; column < end; column++)
            {
                int group = _groupIndex[column];
                target[column - start] = scales[group] * (Level(codes, column) - zeros[group]);
            }

            return;
        }

        int g = start / _groupSize;
        if (_tier == CpuTier.Avx512 && (start & 15) == 0 && ((_groupSize & 15) == 0 || _groups == 1))
        {
            Whole512(codes, scales, zeros, g, start, end, target);
            return;
        }

        for (int column = start; column < end; g++)
        {
            int stop = (int)Math.Min(end, (g + 1L) * _groupSize);
            Group(codes, scales[g], zeros[g], column, stop, target + (column - start));
            column = stop;
        }
    }

    /// <summary>Groups that start on whole vectors: the case of every usual group size.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Whole512(byte* codes, float* scales, byte* zeros, int group, int column, int end, float* target)
    {
        int bits = _bits;

        // Levels repeat for fewer than 4 bits, so that the neighbour's bits in an index do not matter.
        Vector512<float> levels = Vector512.Load(_levels);
        Vector512<uint> shifts = (Vector512<int>.Indices & Vector512.Create(7)).AsUInt32() * Vector512.Create((uint)bits);
        byte* at = codes + ((long)column * bits / 8);
        while (column < end)
        {
            int stop = (int)Math.Min(end, (group + 1L) * _groupSize);
            (Vector512<int> zero, Vector512<float> scale) = (Vector512.Create((int)zeros[group]), Vector512.Create(scales[group]));
            if (bits == 8)
            {
                for (; column <= stop - 16; column += 16, at += 16, target += 16)
                {
                    Vector512<int> code = Avx512F.ConvertToVector512Int32(Vector128.Load(at));
                    (Vector512.ConvertToSingle(code - zero) * scale).Store(target);
                }
            }
            else
            {
                Vector512<float> table = (levels - Vector512.ConvertToSingle(zero)) * scale;
                for (; column <= stop - 16; column += 16, at += 2 * bits, target += 16)
                {
                    Vector256<uint> lower = Vector256.Create(Unsafe.ReadUnaligned<uint>(at));
                    Vector256<uint> upper = Vector256.Create(Unsafe.ReadUnaligned<uint>(at + bits));
                    Vector512<uint> index = Avx512F.ShiftRightLogicalVariable(Vector512.Create(lower, upper), shifts);
                    Avx512F.PermuteVar16x32(table, index.AsInt32()).Store(target);
                }
            }

            for (; column < stop; column++)
            {
                *target++ = scales[group] * (Level(codes, column) - zeros[group]);
            }

            group++;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Group(byte* codes, float scale, int zero, int column, int stop, float* target)
    {
        // Eight codes fill whole bytes; vectors start there.
        while (column < stop && (column & 7) != 0)
        {
            *target++ = scale * (Level(codes, column++) - zero);
        }

        int vectors = _tier <= CpuTier.Vector128 ? 0 : (stop - column) & ~7;
        if (vectors > 0)
        {
            byte* at = codes + ((long)column * _bits / 8);
            if (_bits == 8)
            {
                Bytes256(at, scale, zero, vectors, target);
            }
            else if (_hasBook)
            {
                LookedUp256(at, _levels, scale, vectors, target);
            }
            else
            {
                Shifted256(at, _bits, scale, zero, vectors, target);
            }

            column += vectors;
            target += vectors;
        }

        while (column < stop)
        {
            *target++ = scale * (Level(codes, column++) - zero);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Bytes256(byte* codes, float scale, int zero, int count, float* target)
    {
        (Vector256<float> scales, Vector256<int> zeros) = (Vector256.Create(scale), Vector256.Create(zero));
        for (int i = 0; i < count; i += 8)
        {
            Vector256<int> code = Avx2.ConvertToVector256Int32(codes + i);
            (Vector256.ConvertToSingle(code - zeros) * scales).Store(target + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Shifted256(byte* codes, int bits, float scale, int zero, int count, float* target)
    {
        (Vector256<float> scales, Vector256<int> zeros) = (Vector256.Create(scale), Vector256.Create(zero));
        Vector256<uint> mask = Vector256.Create((1u << bits) - 1);
        Vector256<uint> shifts = Vector256<uint>.Indices * Vector256.Create((uint)bits);
        for (int i = 0; i < count; i += 8)
        {
            Vector256<uint> word = Vector256.Create(Unsafe.ReadUnaligned<uint>(codes));
            Vector256<uint> code = Avx2.ShiftRightLogicalVariable(word, shifts) & mask;
            (Vector256.ConvertToSingle(code.AsInt32() - zeros) * scales).Store(target + i);
            codes += bits;
        }
    }

    /// <summary>4-bit codes of a book, eight at a time: each half of the book is looked up, the code's highest bit chooses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void LookedUp256(byte* codes, float* levels, float scale, int count, float* target)
    {
        Vector256<float> lower = Vector256.Load(levels) * scale, upper = Vector256.Load(levels + 8) * scale;
        Vector256<uint> shifts = Vector256<uint>.Indices * Vector256.Create(4u);
        for (int i = 0; i < count; i += 8, codes += 4)
        {
            Vector256<uint> word = Vector256.Create(Unsafe.ReadUnaligned<uint>(codes));
            Vector256<int> code = Avx2.ShiftRightLogicalVariable(word, shifts).AsInt32();
            Vector256<float> first = Avx2.PermuteVar8x32(lower, code), second = Avx2.PermuteVar8x32(upper, code);
            Avx.BlendVariable(first, second, (code << 28).AsSingle()).Store(target + i);
        }
    }

    private float Level(byte* codes, int column)
    {
        int code = Code(codes, column);
        return _hasBook ? _levels[code] : code;
    }

    private int Code(byte* codes, int column)
    {
        long bit = (long)column * _bits;
        byte* at = codes + (bit >> 3);
        int window = _bits == 3 && (bit & 7) > 5 ? at[0] | (at[1] << 8) : at[0];
        return (window >> (int)(bit & 7)) & ((1 << _bits) - 1);
    }
}
