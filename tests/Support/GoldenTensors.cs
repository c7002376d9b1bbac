using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace PureQLora.Testing;

/// <summary>
/// Reads the tensors of a golden safetensors file. Kept apart from the product's own reader, so that a defect there cannot hide
/// itself. The files are ours, so nothing is checked beyond what an array access checks.
/// </summary>
internal sealed class GoldenTensors
{
    private readonly byte[] _file;
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);

    private GoldenTensors(byte[] file)
    {
        _file = file;
        int headerLength = checked((int)BinaryPrimitives.ReadInt64LittleEndian(file));
        using JsonDocument header = JsonDocument.Parse(file.AsMemory(8, headerLength));
        foreach (JsonProperty tensor in header.RootElement.EnumerateObject())
        {
            if (tensor.NameEquals("__metadata__"))
            {
                continue;
            }

            int[] offsets = [.. tensor.Value.GetProperty("data_offsets").EnumerateArray().Select(offset => offset.GetInt32())];
            _entries.Add(tensor.Name, new Entry(
                tensor.Value.GetProperty("dtype").GetString()!,
                [.. tensor.Value.GetProperty("shape").EnumerateArray().Select(length => length.GetInt64())],
                8 + headerLength + offsets[0],
                offsets[1] - offsets[0]));
        }
    }

    /// <summary>The names of all tensors.</summary>
    public IReadOnlyCollection<string> Names => _entries.Keys;

    /// <summary>Reads a file whole.</summary>
    public static GoldenTensors Read(string path) => new(File.ReadAllBytes(path));

    /// <summary>Whether the file holds a tensor of that name.</summary>
    public bool Contains(string name) => _entries.ContainsKey(name);

    /// <summary>The lengths of a tensor's dimensions.</summary>
    public long[] Shape(string name) => Find(name).Shape;

    /// <summary>The format's name of a tensor's element type: F64, F32, F16, BF16, U8, I32, I64.</summary>
    public string DataType(string name) => Find(name).DataType;

    /// <summary>Any tensor as float32; float64 is rounded.</summary>
    public float[] Floats(string name) => Array.ConvertAll(Doubles(name), value => (float)value);

    /// <summary>Any tensor as float64, which holds all but the largest I64 exactly.</summary>
    public double[] Doubles(string name) => Find(name).DataType switch
    {
        "F64" => Values<double>(name).ToArray(),
        "F32" => Convert<float>(name, value => value),
        "F16" => Convert<Half>(name, value => (double)value),
        "BF16" => Convert<ushort>(name, value => BitConverter.UInt32BitsToSingle((uint)value << 16)),
        "U8" => Convert<byte>(name, value => value),
        "I32" => Convert<int>(name, value => value),
        "I64" => Convert<long>(name, value => value),
        string other => throw new NotSupportedException($"{name} is {other}"),
    };

    /// <summary>A tensor's bytes: the elements of U8, the raw little-endian data of the other types.</summary>
    public byte[] Bytes(string name) => Values<byte>(name).ToArray();

    /// <summary>A tensor of any integer type as int32.</summary>
    public int[] Ints(string name) => Find(name).DataType switch
    {
        "I32" => Values<int>(name).ToArray(),
        "I64" or "U8" => Array.ConvertAll(Doubles(name), value => checked((int)value)),
        string other => throw new NotSupportedException($"{name} is {other}"),
    };

    private double[] Convert<T>(string name, Func<T, double> toDouble)
        where T : unmanaged
    {
        ReadOnlySpan<T> values = Values<T>(name);
        var result = new double[values.Length];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = toDouble(values[i]);
        }

        return result;
    }

    private ReadOnlySpan<T> Values<T>(string name)
        where T : unmanaged
    {
        Entry entry = Find(name);
        return MemoryMarshal.Cast<byte, T>(_file.AsSpan(entry.Start, entry.Length));
    }

    private Entry Find(string name) => _entries.TryGetValue(name, out Entry? entry)
        ? entry
        : throw new KeyNotFoundException($"No tensor {name} among {string.Join(", ", _entries.Keys)}.");

    private sealed record Entry(string DataType, long[] Shape, int Start, int Length);
}
