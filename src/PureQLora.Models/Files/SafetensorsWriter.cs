using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Collects named tensors and writes them as one safetensors file. Values are read only while writing, piece by piece, so that a model
/// larger than memory can be written. The same tensors give the same bytes: sorted by type, widest first, then by name, as the
/// reference implementation does, with a header padded to 8 bytes.
/// </summary>
public sealed class SafetensorsWriter
{
    private const int PieceBytes = 1 << 20;

    private readonly SortedDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _metadata = new(StringComparer.Ordinal) { ["format"] = "pt" };

    /// <summary>Free text under <c>__metadata__</c>; <c>format</c> = <c>pt</c> is set, because transformers demands it.</summary>
    public IDictionary<string, string> Metadata => _metadata;

    /// <summary>Names so far, sorted.</summary>
    public IReadOnlyCollection<string> Names => _entries.Keys;

    /// <summary>Bytes of all tensors so far, without the header.</summary>
    public long DataBytes => _entries.Values.Sum(entry => entry.ByteLength);

    /// <summary>Adds a tensor.</summary>
    /// <param name="name">Its name in the file.</param>
    /// <param name="tensor">From any backend; it must stay as it is until the file is written.</param>
    /// <param name="storedAs">F32, BF16 or F16 to round a floating tensor to while writing; null for its own type.</param>
    public void Add(string name, Tensor tensor, SafetensorsType? storedAs = null)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        SafetensorsType own = tensor.DataType.ToSafetensorsType();
        long[] shape = new long[tensor.Shape.Rank];
        tensor.Shape.CopyTo(shape);
        if (storedAs is null || storedAs == own)
        {
            Add(name, own, shape, stream => CopyBytes(tensor, stream));
            return;
        }

        if (!tensor.DataType.IsFloating() || storedAs is not (SafetensorsType.F32 or SafetensorsType.BF16 or SafetensorsType.F16))
        {
            throw new ArgumentException($"{tensor} cannot be stored as {storedAs}; floating tensors can become F32, BF16 or F16.", nameof(storedAs));
        }

        Add(name, storedAs.Value, shape, stream => RoundFloats(name, tensor, storedAs.Value, stream));
    }

    /// <summary>Adds floats.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="values">Row-major; they must stay as they are until the file is written.</param>
    /// <param name="shape">Extents; none for a scalar.</param>
    /// <param name="storedAs">F32, BF16 or F16.</param>
    public void AddFloats(string name, ReadOnlyMemory<float> values, ReadOnlySpan<long> shape, SafetensorsType storedAs = SafetensorsType.F32)
    {
        if (storedAs is not (SafetensorsType.F32 or SafetensorsType.BF16 or SafetensorsType.F16))
        {
            throw new ArgumentException($"Floats cannot be stored as {storedAs}; allowed are F32, BF16 and F16.", nameof(storedAs));
        }

        RequireCount(values.Length, shape);
        Add(name, storedAs, shape, stream => WriteRounded(name, values.Span, storedAs, stream));
    }

    /// <summary>Adds floats that are made when the file is written, so that only one such tensor need exist at a time.</summary>
    /// <inheritdoc cref="AddFloats(string, ReadOnlyMemory{float}, ReadOnlySpan{long}, SafetensorsType)"/>
    public void AddFloats(string name, Func<float[]> values, ReadOnlySpan<long> shape, SafetensorsType storedAs = SafetensorsType.F32)
    {
        ArgumentNullException.ThrowIfNull(values);
        if (storedAs is not (SafetensorsType.F32 or SafetensorsType.BF16 or SafetensorsType.F16))
        {
            throw new ArgumentException($"Floats cannot be stored as {storedAs}; allowed are F32, BF16 and F16.", nameof(storedAs));
        }

        Add(name, storedAs, shape, stream => WriteRounded(name, values(), storedAs, stream));
    }

    /// <summary>Adds 32-bit integers.</summary>
    /// <inheritdoc cref="AddFloats(string, ReadOnlyMemory{float}, ReadOnlySpan{long}, SafetensorsType)"/>
    public void AddInts(string name, ReadOnlyMemory<int> values, ReadOnlySpan<long> shape)
    {
        RequireCount(values.Length, shape);
        Add(name, SafetensorsType.I32, shape, stream => stream.Write(MemoryMarshal.AsBytes(values.Span)));
    }

    /// <summary>Adds raw little-endian elements of any type.</summary>
    /// <inheritdoc cref="AddFloats(string, ReadOnlyMemory{float}, ReadOnlySpan{long}, SafetensorsType)"/>
    /// <param name="name">The name in the file.</param>
    /// <param name="type">What the bytes are.</param>
    /// <param name="bytes">All elements, row-major.</param>
    /// <param name="shape">Extents; none for a scalar.</param>
    public void AddBytes(string name, SafetensorsType type, ReadOnlyMemory<byte> bytes, ReadOnlySpan<long> shape)
    {
        RequireCount(bytes.Length / type.Size(), shape);
        Add(name, type, shape, stream => stream.Write(bytes.Span));
    }

    /// <summary>Adds a tensor whose bytes are made when the file is written.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Extents; none for a scalar.</param>
    /// <param name="write">Writes exactly the little-endian elements, row-major.</param>
    public void Add(string name, SafetensorsType type, ReadOnlySpan<long> shape, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(write);
        if (name == "__metadata__" || !_entries.TryAdd(name, new Entry(type, shape.ToArray(), checked(Count(shape) * type.Size()), write)))
        {
            throw new ArgumentException($"A tensor \"{name}\" is there already, or the name is reserved.", nameof(name));
        }
    }

    /// <summary>Writes tensors in their own types as one file.</summary>
    /// <param name="path">The file's final name.</param>
    /// <param name="tensors">Names and tensors.</param>
    /// <exception cref="UserErrorException">The file cannot be written; what had its name is unchanged.</exception>
    public static void Write(string path, IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        SafetensorsWriter writer = new();
        foreach ((string name, Tensor tensor) in tensors)
        {
            writer.Add(name, tensor);
        }

        writer.Write(path);
    }

    /// <summary>Writes the file under a temporary name and renames it when it is whole.</summary>
    /// <exception cref="UserErrorException">The disk is full, the place cannot be written, or a value does not fit its type.</exception>
    public void Write(string path) => AtomicFile.Write(path, Write);

    /// <summary>Writes the file's bytes.</summary>
    /// <exception cref="UserErrorException">A value does not fit its type.</exception>
    public void Write(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        KeyValuePair<string, Entry>[] sorted = [.. _entries.OrderByDescending(entry => entry.Value.Type)];
        byte[] header = Header(sorted);
        Span<byte> prefix = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, header.Length);
        stream.Write(prefix);
        stream.Write(header);
        CountingStream counting = new(stream);
        foreach ((string name, Entry entry) in sorted)
        {
            counting.Count = 0;
            entry.Write(counting);
            if (counting.Count != entry.ByteLength)
            {
                throw new InvalidOperationException($"Tensor \"{name}\" wrote {counting.Count} bytes, its shape and type need {entry.ByteLength}.");
            }
        }
    }

    private byte[] Header(KeyValuePair<string, Entry>[] sorted)
    {
        using MemoryStream memory = new();
        using (Utf8JsonWriter json = new(memory, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (_metadata.Count > 0)
            {
                json.WriteStartObject("__metadata__");
                foreach ((string key, string value) in _metadata)
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            long offset = 0;
            foreach ((string name, Entry entry) in sorted)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", entry.Type.ToName());
                WriteNumbers(json, "shape", entry.Shape);
                WriteNumbers(json, "data_offsets", [offset, checked(offset + entry.ByteLength)]);
                json.WriteEndObject();
                offset += entry.ByteLength;
            }

            json.WriteEndObject();
        }

        while (memory.Length % 8 != 0)
        {
            memory.WriteByte((byte)' ');
        }

        return memory.ToArray();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string key, ReadOnlySpan<long> values)
    {
        json.WriteStartArray(key);
        foreach (long value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static long Count(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long extent in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(extent, nameof(shape));
            count = checked(count * extent);
        }

        return count;
    }

    private static void RequireCount(long count, ReadOnlySpan<long> shape)
    {
        if (count != Count(shape))
        {
            throw new ArgumentException($"{count} values do not fill [{string.Join(", ", shape.ToArray())}].", nameof(shape));
        }
    }

    private static void CopyBytes(Tensor tensor, Stream stream)
    {
        byte[] piece = new byte[(int)Math.Min(PieceBytes, tensor.ByteLength)];
        for (long done = 0; done < tensor.ByteLength; done += piece.Length)
        {
            int length = (int)Math.Min(piece.Length, tensor.ByteLength - done);
            tensor.Storage.Read(tensor.ByteOffset + done, piece.AsSpan(0, length));
            stream.Write(piece.AsSpan(0, length));
        }

        MappedFile.ReleasePages(tensor); // copied from file to file; nobody need hold it in between
    }

    private static void RoundFloats(string name, Tensor tensor, SafetensorsType type, Stream stream)
    {
        int size = tensor.DataType.Size();
        byte[] piece = new byte[(int)Math.Min(PieceBytes, tensor.ByteLength)];
        float[] values = new float[piece.Length / size];
        for (long done = 0; done < tensor.ByteLength; done += piece.Length)
        {
            int length = (int)Math.Min(piece.Length, tensor.ByteLength - done);
            tensor.Storage.Read(tensor.ByteOffset + done, piece.AsSpan(0, length));
            Span<float> floats = values.AsSpan(0, length / size);
            for (int i = 0; i < floats.Length; i++)
            {
                ReadOnlySpan<byte> element = piece.AsSpan(i * size, size);
                floats[i] = tensor.DataType switch
                {
                    DataType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(element),
                    DataType.Float16 => (float)BinaryPrimitives.ReadHalfLittleEndian(element),
                    _ => new BFloat16(BinaryPrimitives.ReadUInt16LittleEndian(element)),
                };
            }

            WriteRounded(name, floats, type, stream);
        }
    }

    private static void WriteRounded(string name, ReadOnlySpan<float> values, SafetensorsType type, Stream stream)
    {
        if (type == SafetensorsType.F32)
        {
            stream.Write(MemoryMarshal.AsBytes(values));
            return;
        }

        byte[] bytes = new byte[Math.Min(PieceBytes, values.Length * 2)];
        for (int start = 0; start < values.Length; start += bytes.Length / 2)
        {
            ReadOnlySpan<float> part = values.Slice(start, Math.Min(bytes.Length / 2, values.Length - start));
            for (int i = 0; i < part.Length; i++)
            {
                ushort bits = type == SafetensorsType.BF16 ? ((BFloat16)part[i]).Bits : BitConverter.HalfToUInt16Bits((Half)part[i]);
                if (type == SafetensorsType.F16 && float.IsFinite(part[i]) && !Half.IsFinite((Half)part[i]))
                {
                    throw new UserErrorException($"Tensor \"{name}\" holds {part[i]}, but F16 ends at ±65504; store it as BF16 or F32.");
                }

                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(i * 2), bits);
            }

            stream.Write(bytes.AsSpan(0, part.Length * 2));
        }
    }

    private sealed record Entry(SafetensorsType Type, long[] Shape, long ByteLength, Action<Stream> Write);
}
