using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace PureQLora.Core;

/// <summary>
/// A row-major view on a block of memory: shape, element type, storage, offset. It owns nothing. Tensors made by a
/// <see cref="ComputeScope"/> live as long as its pass; tensors made by <see cref="Create"/> live as long as they are reachable.
/// </summary>
public sealed class Tensor
{
    private Storage _storage;
    private long _byteOffset;

    /// <summary>A view on part of a block.</summary>
    /// <param name="shape">Extents, row-major.</param>
    /// <param name="type">Element type.</param>
    /// <param name="storage">The memory.</param>
    /// <param name="byteOffset">Where the first element is.</param>
    /// <exception cref="ArgumentOutOfRangeException">The view leaves the block.</exception>
    public Tensor(Shape shape, DataType type, Storage storage, long byteOffset = 0)
    {
        ArgumentNullException.ThrowIfNull(storage);
        (Shape, DataType, _storage, _byteOffset) = (shape, type, storage, byteOffset);
        if (byteOffset < 0 || checked(byteOffset + ByteLength) > storage.ByteLength)
        {
            throw new ArgumentOutOfRangeException(
                nameof(byteOffset), byteOffset, $"{shape} of {type} needs {ByteLength} bytes from here; the block has {storage.ByteLength}.");
        }
    }

    /// <summary>Extents, outermost first.</summary>
    public Shape Shape { get; private set; }

    /// <summary>Element type.</summary>
    public DataType DataType { get; private set; }

    /// <summary>The memory this is a view on.</summary>
    public Storage Storage => _storage;

    /// <summary>Position of the first element in <see cref="Storage"/>, in bytes.</summary>
    public long ByteOffset => _byteOffset;

    /// <summary>Bytes of all elements.</summary>
    public long ByteLength => checked(Shape.Count * DataType.Size());

    /// <summary>True where backward must give <see cref="Grad"/> a value.</summary>
    public bool RequiresGrad { get; internal set; }

    /// <summary>∂loss/∂this in float32, of the same shape; null as long as nothing flowed into it or none is required.</summary>
    public Tensor? Grad { get; internal set; }

    /// <summary>
    /// The integers that a pass was given from the host (<see cref="ComputeScope.From(ReadOnlySpan{int}, Shape)"/>), as long as it lasts; else
    /// empty. So a device's backend checks them without waiting for the device.
    /// </summary>
    public ReadOnlyMemory<int> HostInts { get; internal set; }

    /// <summary>Place among the tensors of its scope; beyond all of them if it belongs to none.</summary>
    internal int ScopeIndex { get; init; } = int.MaxValue;

    /// <summary>All elements as floats, in host memory. The span does not keep that memory: hold the tensor as long as the span is used.</summary>
    /// <exception cref="InvalidOperationException">Another type, not on the host, or too long for a span.</exception>
    public unsafe Span<float> Floats => new(Host(DataType.Float32), SpanLength());

    /// <summary>All elements as 32-bit integers, in host memory. The span does not keep that memory: hold the tensor as long as the span is used.</summary>
    /// <exception cref="InvalidOperationException">Another type, not on the host, or too long for a span.</exception>
    public unsafe Span<int> Ints => new(Host(DataType.Int32), SpanLength());

    /// <summary>A tensor with memory of its own on the host, zero-filled.</summary>
    public static Tensor Create(Shape shape, DataType type = DataType.Float32)
    {
        CpuStorage storage = new(checked(shape.Count * type.Size()));
        Tensor tensor = new(shape, type, storage);
        unsafe
        {
            NativeMemory.Clear(storage.Pointer, (nuint)storage.ByteLength);
        }

        return tensor;
    }

    /// <summary>A zero-filled tensor of this shape and type with memory of its own beside this one's: of the same backend.</summary>
    public Tensor ZerosLike() => new(Shape, DataType, _storage.AllocateZeros(ByteLength));

    /// <summary>
    /// The tensor in a backend's memory: itself where it is there already, else a copy that lives as long as it is reachable. The copy of a
    /// parameter is a parameter and has a copy of the gradient.
    /// </summary>
    /// <param name="backend">Shall compute with it.</param>
    public Tensor To(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        if (backend.Reaches(_storage))
        {
            return this;
        }

        Tensor copy = new(Shape, DataType, backend.Allocate(ByteLength));
        CopyTo(copy._storage, 0);
        (copy.RequiresGrad, copy.Grad) = (RequiresGrad, Grad?.To(backend));
        return copy;
    }

    /// <summary>A host tensor with a copy of the values.</summary>
    public static Tensor From(ReadOnlySpan<float> values, Shape shape)
    {
        Tensor tensor = Create(shape);
        CheckCount(values.Length, shape);
        values.CopyTo(tensor.Floats);
        return tensor;
    }

    /// <summary>A host tensor with a copy of the values.</summary>
    public static Tensor From(ReadOnlySpan<int> values, Shape shape)
    {
        Tensor tensor = Create(shape, DataType.Int32);
        CheckCount(values.Length, shape);
        values.CopyTo(tensor.Ints);
        return tensor;
    }

    /// <summary>Makes this a trainable parameter: it gets a zero gradient of its own, which backward adds to.</summary>
    /// <exception cref="InvalidOperationException">Not float32: gradients and optimiser state are float32.</exception>
    public Tensor AsParameter()
    {
        if (DataType != DataType.Float32)
        {
            throw new InvalidOperationException($"A parameter must be Float32, this tensor is {DataType}; cast it first.");
        }

        RequiresGrad = true;
        Grad ??= ZerosLike();
        return this;
    }

    /// <summary>Makes this a constant again and drops its gradient.</summary>
    public void Freeze() => (RequiresGrad, Grad) = (false, null);

    /// <summary>The same elements under another shape; shares memory, takes no part in autograd (see the Reshape operation).</summary>
    public Tensor View(Shape shape)
    {
        CheckCount(Shape.Count, shape);
        return new Tensor(shape, DataType, _storage, _byteOffset);
    }

    /// <summary>Rows <paramref name="start"/> … start + count − 1 of the first dimension; shares memory, takes no part in autograd.</summary>
    public Tensor ViewRows(long start, long count)
    {
        if (start < 0 || count < 0 || start > Shape[0] - count)
        {
            throw new ArgumentOutOfRangeException(nameof(start), start, $"{count} rows from here leave {Shape}.");
        }

        long rowBytes = Shape[0] == 0 ? 0 : ByteLength / Shape[0];
        return new Tensor(Shape.With(0, count), DataType, _storage, _byteOffset + (start * rowBytes));
    }

    /// <summary>A copy of the elements as floats, whatever the floating type, from any backend.</summary>
    public float[] ToArray()
    {
        float[] values = GC.AllocateUninitializedArray<float>(checked((int)Shape.Count));
        CopyTo(values);
        return values;
    }

    /// <summary>Copies the elements as floats, whatever the floating type, from any backend; nothing of their size is allocated.</summary>
    /// <param name="destination">As many elements.</param>
    public void CopyTo(Span<float> destination)
    {
        const int PieceElements = 1 << 14;
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, Shape.Count);
        if (DataType == DataType.Float32)
        {
            _storage.Read(_byteOffset, MemoryMarshal.AsBytes(destination));
            return;
        }

        byte[] piece = new byte[Math.Min(PieceElements, destination.Length) * DataType.Size()];
        for (int start = 0; start < destination.Length; start += PieceElements)
        {
            Span<float> target = destination.Slice(start, Math.Min(PieceElements, destination.Length - start));
            Span<byte> bytes = piece.AsSpan(0, target.Length * DataType.Size());
            _storage.Read(_byteOffset + ((long)start * DataType.Size()), bytes);
            Convert(bytes, target);
        }
    }

    /// <summary>Overwrites the elements of a Float32 tensor, in the memory of any backend.</summary>
    /// <param name="values">As many elements.</param>
    /// <exception cref="InvalidOperationException">Another type.</exception>
    public void CopyFrom(ReadOnlySpan<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, Shape.Count);
        if (DataType != DataType.Float32)
        {
            throw new InvalidOperationException($"{this} does not take floats as they are; cast it first.");
        }

        _storage.Write(_byteOffset, MemoryMarshal.AsBytes(values));
    }

    private void Convert(ReadOnlySpan<byte> bytes, Span<float> target)
    {
        switch (DataType)
        {
            case DataType.BFloat16:
                ReadOnlySpan<BFloat16> brains = MemoryMarshal.Cast<byte, BFloat16>(bytes);
                for (int i = 0; i < target.Length; i++)
                {
                    target[i] = brains[i];
                }

                break;
            case DataType.Float16:
                TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes), target);
                break;
            default:
                throw new InvalidOperationException($"A tensor of {DataType} holds no floats.");
        }
    }

    /// <inheritdoc/>
    public override string ToString() => $"{DataType}{Shape}";

    /// <summary>First element in host memory, for kernels.</summary>
    /// <exception cref="InvalidOperationException">Another type, or not on the host.</exception>
    internal unsafe void* Host(DataType expected)
    {
        if (DataType != expected)
        {
            throw new InvalidOperationException($"This operation needs {expected}, the tensor is {this}; cast it first.");
        }

        return Host();
    }

    /// <summary>First byte in host memory, for kernels that look at the type themselves.</summary>
    internal unsafe byte* Host() => _storage is CpuStorage cpu
        ? cpu.Pointer + _byteOffset
        : throw new InvalidOperationException($"{this} is not in host memory; copy it with ToArray.");

    /// <summary>Turns a recycled object into another view; only the pool of a <see cref="ComputeScope"/> does this.</summary>
    internal void Rebind(Shape shape, DataType type, Storage storage, long byteOffset)
    {
        (Shape, DataType, _storage, _byteOffset) = (shape, type, storage, byteOffset);
        (RequiresGrad, Grad, HostInts) = (false, null, default);
    }

    /// <summary>Moves the elements to other memory; whoever holds this tensor finds them there.</summary>
    internal void MoveInto(Storage storage, long byteOffset)
    {
        CopyTo(storage, byteOffset);
        Storage left = _storage;
        (_storage, _byteOffset) = (storage, byteOffset);

        // A host's memory ends when nobody reaches it any more; a device's is scarce.
        if (left is not CpuStorage && left.ByteLength == ByteLength)
        {
            left.Dispose();
        }
    }

    /// <summary>Copies the bytes, in pieces, to memory of the same or another backend.</summary>
    private void CopyTo(Storage storage, long byteOffset)
    {
        const int PieceBytes = 1 << 20;
        byte[] piece = new byte[Math.Min(PieceBytes, ByteLength)];
        for (long start = 0; start < ByteLength; start += piece.Length)
        {
            Span<byte> bytes = piece.AsSpan(0, (int)Math.Min(piece.Length, ByteLength - start));
            _storage.Read(_byteOffset + start, bytes);
            storage.Write(byteOffset + start, bytes);
        }
    }

    private static void CheckCount(long count, Shape shape)
    {
        if (count != shape.Count)
        {
            throw new ArgumentException($"{count} values do not fill {shape}, which holds {shape.Count}.", nameof(shape));
        }
    }

    private int SpanLength() => Shape.Count <= int.MaxValue
        ? (int)Shape.Count
        : throw new InvalidOperationException($"{this} is too long for one span; take it by rows (ViewRows).");
}
