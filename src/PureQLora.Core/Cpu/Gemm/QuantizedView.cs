using System.Runtime.Intrinsics;

namespace PureQLora.Core;

/// <summary>Pointers into a <see cref="QuantizedMatrix"/>, for kernels; value = scale · (code − zero), computed in just this order.</summary>
internal readonly unsafe struct QuantizedView(QuantizedMatrix matrix)
{
    private readonly byte* _codes = matrix.Codes;
    private readonly float* _scales = matrix.Scales;
    private readonly byte* _zeros = matrix.Zeros;
    private readonly int* _groupIndex = matrix.GroupIndexPointer;
    private readonly long _rowBytes = matrix.RowBytes;
    private readonly int _groupSize = matrix.GroupSize;
    private readonly int _groups = matrix.Groups;
    private readonly int _bits = matrix.Bits;

    /// <summary>Values of columns start … start + count − 1 of a row.</summary>
    public void Dequantize(long row, int start, int count, float* destination)
    {
        byte* codes = _codes + (row * _rowBytes);
        float* scales = _scales + (row * _groups);
        byte* zeros = _zeros + (row * _groups);
        if (_groupIndex is not null)
        {
            for (int i = 0; i < count; i++)
            {
                int group = _groupIndex[start + i];
                destination[i] = scales[group] * (Code(codes, start + i) - zeros[group]);
            }

            return;
        }

        int end = start + count;
        while (start < end)
        {
            int group = start / _groupSize;
            int run = (int)Math.Min(end, (group + 1L) * _groupSize) - start;
            Run(codes, start, run, scales[group], zeros[group], destination);
            start += run;
            destination += run;
        }
    }

    private void Run(byte* codes, int start, int count, float scale, int zero, float* destination)
    {
        int i = 0;
        if (_bits == 4)
        {
            for (; i < count && ((start + i) & 1) != 0; i++)
            {
                destination[i] = scale * (Code(codes, start + i) - zero);
            }

            Vector128<byte> mask = Vector128.Create((byte)15);
            for (; i <= count - 32; i += 32)
            {
                Vector128<byte> packed = Vector128.Load(codes + ((start + i) >> 1));
                Vector128<byte> low = packed & mask;
                Vector128<byte> high = Vector128.ShiftRightLogical(packed.AsUInt16(), 4).AsByte() & mask;
                Store(Interleave.Low(low, high), scale, zero, destination + i);
                Store(Interleave.High(low, high), scale, zero, destination + i + 16);
            }
        }
        else if (_bits == 8)
        {
            for (; i <= count - 16; i += 16)
            {
                Store(Vector128.Load(codes + start + i), scale, zero, destination + i);
            }
        }

        for (; i < count; i++)
        {
            destination[i] = scale * (Code(codes, start + i) - zero);
        }
    }

    private static void Store(Vector128<byte> codes, float scale, int zero, float* destination)
    {
        (Vector128<ushort> low, Vector128<ushort> high) = Vector128.Widen(codes);
        if (Vector512.IsHardwareAccelerated)
        {
            Vector256<ushort> words = Vector256.Create(low, high);
            Vector512<int> integers = Vector512.WidenLower(words.ToVector512Unsafe()).AsInt32() - Vector512.Create(zero);
            (Vector512.ConvertToSingle(integers) * scale).Store(destination);
            return;
        }

        Vector128<int> offset = Vector128.Create(zero);
        (Vector128<uint> first, Vector128<uint> second) = Vector128.Widen(low);
        (Vector128<uint> third, Vector128<uint> fourth) = Vector128.Widen(high);
        (Vector128.ConvertToSingle(first.AsInt32() - offset) * scale).Store(destination);
        (Vector128.ConvertToSingle(second.AsInt32() - offset) * scale).Store(destination + 4);
        (Vector128.ConvertToSingle(third.AsInt32() - offset) * scale).Store(destination + 8);
        (Vector128.ConvertToSingle(fourth.AsInt32() - offset) * scale).Store(destination + 12);
    }

    private int Code(byte* codes, int column)
    {
        long bit = (long)column * _bits;
        byte* at = codes + (bit >> 3);
        int shift = (int)(bit & 7);
        int window = shift + _bits > 8 ? at[0] | (at[1] << 8) : at[0];
        return (window >> shift) & ((1 << _bits) - 1);
    }
}
