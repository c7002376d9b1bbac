using System.Runtime.InteropServices;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// A safetensors file, mapped for reading. Nothing is believed before it is checked: header length, JSON, types, shapes and offsets
/// are held against the file's real length when it is opened.
/// </summary>
/// <remarks>
/// The format: https://github.com/huggingface/safetensors. The mapping trusts that nobody shortens the file while it is open; replacing
/// it by renaming, as <see cref="AtomicFile"/> does, is harmless.
/// </remarks>
public sealed class SafetensorsFile : IDisposable
{
    private readonly SafetensorsHeader _header;
    private readonly string[] _names;
    private MappedFile? _mapping;
    private bool _shared;

    private SafetensorsFile(string path, SafetensorsHeader header, MappedFile mapping)
    {
        (Path, _header, _mapping) = (path, header, mapping);
        _names = [.. header.Tensors.Values.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.Name, StringComparer.Ordinal).Select(tensor => tensor.Name)];
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>All names, in the order of the data.</summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>Free text that the writer stored, such as <c>format</c> = <c>pt</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>Opens and checks a file.</summary>
    /// <exception cref="UserErrorException">It is missing, unreadable, damaged or lies about itself.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        FileStream? stream = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            SafetensorsHeader header = SafetensorsHeader.Read(stream, path);
            return new SafetensorsFile(path, header, new MappedFile(stream));
        }
        catch (Exception exception)
        {
            stream?.Dispose();
            if (exception is IOException or UnauthorizedAccessException or NotSupportedException)
            {
                throw new UserErrorException($"{path} could not be read ({exception.Message}); check the path.", exception);
            }

            throw;
        }
    }

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Contains(string name) => _header.Tensors.ContainsKey(name);

    /// <summary>Type, shape and place of a tensor.</summary>
    /// <exception cref="UserErrorException">There is no such tensor.</exception>
    public SafetensorsInfo Info(string name) => _header.Tensors.TryGetValue(name, out SafetensorsInfo? info)
        ? info
        : throw new UserErrorException($"{Path} has no tensor \"{name}\"; it has {_names.Length} others, the first is {(_names.Length == 0 ? "missing" : $"\"{_names[0]}\"")}.");

    /// <summary>
    /// A tensor of F32, BF16, F16 or I32, as it is stored. It views the mapped file and keeps it mapped, even after this object is
    /// disposed; only data that is not aligned to its type is copied. A scalar becomes [1].
    /// </summary>
    /// <exception cref="UserErrorException">There is no such tensor, or it has another type or more than four dimensions.</exception>
    public unsafe Tensor GetTensor(string name)
    {
        SafetensorsInfo info = Info(name);
        DataType type = info.Type.ToDataType()
            ?? throw new UserErrorException($"{Path}: tensor \"{name}\" is {info.Type.ToName()}, allowed are F32, BF16, F16 and I32.");
        Shape shape = ToShape(info);
        if (CanView(info))
        {
            _shared = true;
            return new Tensor(shape, type, new CpuStorage(Mapping.Pointer + info.Offset, info.ByteLength, Mapping, readOnly: true));
        }

        Tensor copy = Tensor.Create(shape, type);
        CpuStorage storage = (CpuStorage)copy.Storage;
        Buffer.MemoryCopy(Mapping.Pointer + info.Offset, storage.Pointer, info.ByteLength, info.ByteLength);
        return copy;
    }

    /// <summary>The raw little-endian bytes of a tensor of any type.</summary>
    /// <exception cref="UserErrorException">There is no such tensor, or it is too large for an array.</exception>
    public byte[] ReadBytes(string name) => Bytes(Info(name)).ToArray();

    /// <summary>A floating tensor as float32; F64 is rounded.</summary>
    /// <exception cref="UserErrorException">There is no such tensor, it holds no real numbers, or is too large for an array.</exception>
    public float[] ReadFloats(string name)
    {
        SafetensorsInfo info = Info(name);
        return info.Type switch
        {
            SafetensorsType.F32 => Convert<float, float>(info, static value => value),
            SafetensorsType.F64 => Convert<double, float>(info, static value => (float)value),
            SafetensorsType.F16 => Convert<Half, float>(info, static value => (float)value),
            SafetensorsType.BF16 => Convert<BFloat16, float>(info, static value => value),
            _ => throw new UserErrorException($"{Path}: tensor \"{name}\" is {info.Type.ToName()}, allowed are F64, F32, F16 and BF16."),
        };
    }

    /// <summary>A floating tensor as float64.</summary>
    /// <exception cref="UserErrorException">There is no such tensor, it holds no real numbers, or is too large for an array.</exception>
    public double[] ReadDoubles(string name) => Info(name) is { Type: SafetensorsType.F64 } info
        ? Convert<double, double>(info, static value => value)
        : Array.ConvertAll(ReadFloats(name), static value => (double)value);

    /// <summary>An integer tensor as 64-bit integers; BOOL gives 0 and 1.</summary>
    /// <exception cref="UserErrorException">There is no such tensor, it holds no integers, one does not fit, or it is too large for an array.</exception>
    public long[] ReadInt64s(string name)
    {
        SafetensorsInfo info = Info(name);
        return info.Type switch
        {
            SafetensorsType.I64 => Convert<long, long>(info, static value => value),
            SafetensorsType.U64 => Convert<ulong, long>(info, value => value <= long.MaxValue
                ? (long)value
                : throw new UserErrorException($"{Path}: tensor \"{name}\" holds {value}, allowed up to {long.MaxValue}.")),
            SafetensorsType.I32 => Convert<int, long>(info, static value => value),
            SafetensorsType.U32 => Convert<uint, long>(info, static value => value),
            SafetensorsType.I16 => Convert<short, long>(info, static value => value),
            SafetensorsType.U16 => Convert<ushort, long>(info, static value => value),
            SafetensorsType.I8 => Convert<sbyte, long>(info, static value => value),
            SafetensorsType.U8 => Convert<byte, long>(info, static value => value),
            SafetensorsType.Bool => Convert<byte, long>(info, static value => value == 0 ? 0 : 1),
            _ => throw new UserErrorException($"{Path}: tensor \"{name}\" is {info.Type.ToName()}, allowed are the integer types and BOOL."),
        };
    }

    /// <summary>Refuses NaN and infinity in a tensor; tensors of integers pass.</summary>
    /// <exception cref="UserErrorException">One element is no finite number.</exception>
    public unsafe void CheckFinite(string name)
    {
        const int PieceBytes = 1 << 24;
        SafetensorsInfo info = Info(name);
        for (long start = 0; start < info.ByteLength; start += PieceBytes)
        {
            int length = (int)Math.Min(PieceBytes, info.ByteLength - start);
            long index = NonFinite.IndexIn(info.Type, new ReadOnlySpan<byte>(Mapping.Pointer + info.Offset + start, length));
            if (index >= 0)
            {
                throw new UserErrorException(
                    $"{Path}: tensor \"{name}\" holds NaN or infinity at element {index + (start / info.Type.Size())}, allowed are finite numbers; the file is damaged or its training diverged.");
            }

            // Looked at, not yet used: a model larger than memory is checked as well.
            Mapping.ReleasePages(info.Offset + start, length);
        }
    }

    /// <summary>Whether a tensor has the type and bytes of another.</summary>
    internal unsafe bool HasSameBytes(string name, SafetensorsFile other, string otherName)
    {
        (SafetensorsInfo mine, SafetensorsInfo theirs) = (Info(name), other.Info(otherName));
        const int PieceBytes = 1 << 24;
        bool same = mine.Type == theirs.Type && mine.ByteLength == theirs.ByteLength;
        for (long start = 0; same && start < mine.ByteLength; start += PieceBytes)
        {
            int length = (int)Math.Min(PieceBytes, mine.ByteLength - start);
            same = new ReadOnlySpan<byte>(Mapping.Pointer + mine.Offset + start, length)
                .SequenceEqual(new ReadOnlySpan<byte>(other.Mapping.Pointer + theirs.Offset + start, length));
        }

        return same;
    }

    /// <summary>Closes the file. It is unmapped at once, or, where tensors view it, when the last of them is collected.</summary>
    public void Dispose()
    {
        if (!_shared)
        {
            _mapping?.Dispose();
        }

        _mapping = null;
    }

    private MappedFile Mapping
    {
        get
        {
            ObjectDisposedException.ThrowIf(_mapping is null, this);
            return _mapping;
        }
    }

    private Shape ToShape(SafetensorsInfo info) => info.Shape.Count switch
    {
        0 => new Shape(1),
        <= 4 => new Shape([.. info.Shape]),
        _ => throw new UserErrorException($"{Path}: tensor \"{info.Name}\" has {info.Shape.Count} dimensions, allowed are up to 4."),
    };

    // Kernels may read a whole vector at the last element; past the last page of the file that would fault.
    private bool CanView(SafetensorsInfo info)
    {
        long page = Environment.SystemPageSize;
        long mappedEnd = (Mapping.Length + page - 1) / page * page;
        return info.Offset % info.Type.Size() == 0 && info.Offset + info.ByteLength + CpuStorage.Alignment <= mappedEnd;
    }

    private unsafe ReadOnlySpan<byte> Bytes(SafetensorsInfo info) => info.ByteLength <= Array.MaxLength
        ? new ReadOnlySpan<byte>(Mapping.Pointer + info.Offset, (int)info.ByteLength)
        : throw new UserErrorException($"{Path}: tensor \"{info.Name}\" has {info.ByteLength} bytes, allowed here up to {Array.MaxLength}.");

    private TTarget[] Convert<TSource, TTarget>(SafetensorsInfo info, Func<TSource, TTarget> convert)
        where TSource : unmanaged
    {
        ReadOnlySpan<byte> bytes = Bytes(info);
        int size = info.Type.Size();
        TTarget[] values = new TTarget[bytes.Length / size];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = convert(MemoryMarshal.Read<TSource>(bytes[(i * size)..]));
        }

        GC.KeepAlive(this);
        return values;
    }
}
