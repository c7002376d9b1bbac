using System.Numerics.Tensors;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Core;

/// <summary>A matrix operand as the kernels read it: pieces of rows as floats, whatever the storage.</summary>
/// <remarks>Bare pointers; the caller of the kernel keeps their owner reachable. A row is converted in one go, so the switch costs nothing.</remarks>
internal readonly unsafe struct MatrixSource
{
    private readonly byte* _data;
    private readonly long _stride;
    private readonly Storing _storing;
    private readonly QuantizedRows _quantized;
    private readonly QuantizedNibbles _nibbles;
    private readonly bool _hasNibbles;
    private readonly PackedRows _packed;

    private MatrixSource(byte* data, long stride, Storing storing)
    {
        _data = data;
        (_stride, _storing) = (stride, storing);
    }

    private MatrixSource(QuantizedMatrix matrix, CpuTier tier)
    {
        (_storing, _quantized, _packed) = (Storing.Quantized, new QuantizedRows(matrix, tier), new PackedRows(matrix));
        _hasNibbles = QuantizedNibbles.TryCreate(matrix, out _nibbles);
    }

    private enum Storing
    {
        Float32,
        BFloat16,
        Float16,
        Quantized,
    }

    /// <summary>True where <see cref="Row"/> points into the operand itself and needs no buffer.</summary>
    public bool IsDirect => _storing == Storing.Float32;

    /// <summary>The codes of a quantised operand, or null.</summary>
    public PackedRows? Packed => _storing == Storing.Quantized ? _packed : null;

    /// <summary>First of a bfloat16 operand's elements, row by row; null for other operands.</summary>
    public ushort* BFloat16 => _storing == Storing.BFloat16 ? (ushort*)_data : null;

    /// <summary>An element of a bfloat16 operand.</summary>
    public ushort* BFloat16At(long row, long column) => (ushort*)_data + (row * _stride) + column;

    /// <summary>The last dimension of a tensor as rows.</summary>
    public static MatrixSource Of(Tensor tensor) => new(tensor.Host(), tensor.Shape.Columns, tensor.DataType switch
    {
        DataType.Float32 => Storing.Float32,
        DataType.BFloat16 => Storing.BFloat16,
        DataType.Float16 => Storing.Float16,
        _ => throw new InvalidOperationException($"A matrix product needs floating operands, the tensor is {tensor}."),
    });

    /// <summary>Rows of floats, one behind the other.</summary>
    public static MatrixSource Of(float* rows, long columns) => new((byte*)rows, columns, Storing.Float32);

    /// <summary>A weight as [outDim, inDim].</summary>
    public static MatrixSource Of(WeightMatrix weight, CpuTier tier) =>
        weight.Dense is not null ? Of(weight.Dense) : new MatrixSource(weight.Quantized!, tier);

    /// <summary>The matrix that starts this many rows further down.</summary>
    public MatrixSource Skip(long rows) =>
        rows == 0 ? this : new MatrixSource(_data + (rows * _stride * (_storing == Storing.Float32 ? sizeof(float) : sizeof(ushort))), _stride, _storing);

    /// <summary>The weight as plain 4-bit codes, where it is.</summary>
    public bool Quantized4(out QuantizedNibbles nibbles)
    {
        nibbles = _nibbles;
        return _hasNibbles;
    }

    /// <summary>Elements start … start + count − 1 of a row, in place or in <paramref name="buffer"/>.</summary>
    public float* Row(long row, long start, int count, float* buffer)
    {
        long at = (row * _stride) + start;
        switch (_storing)
        {
            case Storing.Float32:
                return (float*)_data + at;
            case Storing.BFloat16:
                BFloat16Vectors.Widen((ushort*)_data + at, buffer, count);
                break;
            case Storing.Float16:
                TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>((Half*)_data + at, count), new Span<float>(buffer, count));
                break;
            default:
                _quantized.Dequantize(row, (int)start, count, buffer);
                break;
        }

        return buffer;
    }

    /// <summary>Asks for a piece of a row ahead of its use: pieces of rows that lie far apart are no stream to the processor.</summary>
    public void Prefetch(long row, long start, int count)
    {
        if (_storing == Storing.Quantized)
        {
            _quantized.Prefetch(row, (int)start, count);
            return;
        }

        int size = _storing == Storing.Float32 ? sizeof(float) : sizeof(ushort);
        Prefetch(_data + (((row * _stride) + start) * size), (long)count * size);
    }

    /// <summary>Asks for the cache lines of a range.</summary>
    public static void Prefetch(byte* first, long length)
    {
        for (long i = 0; Sse.IsSupported && i < length; i += 64)
        {
            Sse.Prefetch1(first + i);
        }
    }
}
