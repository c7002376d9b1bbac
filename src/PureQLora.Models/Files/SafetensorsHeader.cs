using System.Buffers.Binary;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Reads and checks the header of a safetensors file: everything the file claims is held against its real length.</summary>
/// <remarks>The format: https://github.com/huggingface/safetensors, "Format". Gaps and bytes after the last tensor are refused there, too.</remarks>
internal sealed class SafetensorsHeader
{
    /// <summary>The reference implementation's limit.</summary>
    private const long MaxHeaderBytes = 100_000_000;

    private const string MetadataName = "__metadata__";

    private SafetensorsHeader(Dictionary<string, SafetensorsInfo> tensors, Dictionary<string, string> metadata) =>
        (Tensors, Metadata) = (tensors, metadata);

    /// <summary>Tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsInfo> Tensors { get; }

    /// <summary>Free text under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads the header from the start of a stream.</summary>
    /// <param name="stream">The file; its length is believed.</param>
    /// <param name="source">What errors call it.</param>
    /// <exception cref="UserErrorException">The file is damaged or lies.</exception>
    public static SafetensorsHeader Read(Stream stream, string source)
    {
        long length = stream.Length;
        if (length < 8)
        {
            throw new UserErrorException($"{source} has {length} bytes, but a safetensors file starts with an 8-byte header length; download it again.");
        }

        Span<byte> prefix = stackalloc byte[8];
        stream.ReadExactly(prefix);
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > (ulong)(length - 8))
        {
            throw new UserErrorException($"{source} says its header has {headerLength} bytes, but the file has only {length - 8} after the length; it is cut short or no safetensors file.");
        }

        if (headerLength > MaxHeaderBytes)
        {
            throw new UserErrorException($"{source} says its header has {headerLength} bytes, allowed {MaxHeaderBytes}; it is no safetensors file.");
        }

        byte[] header = new byte[headerLength];
        stream.ReadExactly(header);
        return Parse(header, 8 + (long)headerLength, length, source);
    }

    private static SafetensorsHeader Parse(byte[] header, long dataStart, long fileLength, string source)
    {
        // The deepest value is an extent inside a shape inside a tensor.
        JsonElement root = JsonFile.ParseObject(header, $"{source}, header", maxDepth: 4);
        Dictionary<string, SafetensorsInfo> tensors = new(StringComparer.Ordinal);
        Dictionary<string, string> metadata = new(StringComparer.Ordinal);
        foreach (JsonProperty member in root.EnumerateObject())
        {
            if (member.NameEquals(MetadataName))
            {
                ReadMetadata(member.Value, metadata, source);
            }
            else
            {
                tensors.Add(member.Name, ReadTensor(member, dataStart, fileLength, source));
            }
        }

        CheckLayout(tensors.Values, dataStart, fileLength, source);
        return new SafetensorsHeader(tensors, metadata);
    }

    private static void ReadMetadata(JsonElement value, Dictionary<string, string> metadata, string source)
    {
        if (value.ValueKind == JsonValueKind.Null)
        {
            return;
        }

        if (value.ValueKind != JsonValueKind.Object || value.EnumerateObject().Any(item => item.Value.ValueKind != JsonValueKind.String))
        {
            throw new UserErrorException($"{source}: {MetadataName} must map names to strings.");
        }

        foreach (JsonProperty item in value.EnumerateObject())
        {
            metadata.Add(item.Name, item.Value.GetString()!);
        }
    }

    private static SafetensorsInfo ReadTensor(JsonProperty member, long dataStart, long fileLength, string source)
    {
        UserErrorException Bad(string what) => new($"{source}: tensor \"{member.Name}\" {what}; the file is damaged or was made to deceive.");
        if (member.Value.ValueKind != JsonValueKind.Object)
        {
            throw Bad("is described by something other than an object");
        }

        (JsonElement? type, long[]? shape, long[]? offsets) = (null, null, null);
        foreach (JsonProperty field in member.Value.EnumerateObject())
        {
            switch (field.Name)
            {
                case "dtype":
                    type = field.Value;
                    break;
                case "shape":
                    shape = Extents(field.Value) ?? throw Bad($"has the shape {Shorten(field.Value)}, allowed is a list of whole numbers from 0");
                    break;
                case "data_offsets":
                    offsets = Extents(field.Value) ?? throw Bad($"has the offsets {Shorten(field.Value)}, allowed are two whole numbers from 0");
                    break;
                default:
                    throw Bad($"has an unknown field \"{field.Name}\"");
            }
        }

        if (type is not { ValueKind: JsonValueKind.String } || shape is null || offsets is not { Length: 2 })
        {
            throw Bad("needs a dtype, a shape and two data_offsets");
        }

        string typeName = type.Value.GetString()!;
        SafetensorsType dtype = SafetensorsTypeExtensions.Parse(typeName)
            ?? throw new UserErrorException($"{source}: tensor \"{member.Name}\" has the unknown dtype {typeName}, allowed are {string.Join(", ", Enum.GetValues<SafetensorsType>().Select(known => known.ToName()))}.");
        long bytes = ByteLength(shape, dtype) ?? throw Bad($"has the shape [{string.Join(", ", shape)}], whose size overflows 64 bits");
        (long begin, long end) = (offsets[0], offsets[1]);
        if (begin > end)
        {
            throw Bad($"ends at byte {end}, before it begins at {begin}");
        }

        if (end > fileLength - dataStart)
        {
            throw Bad($"ends at byte {end} of the data, which has only {fileLength - dataStart}");
        }

        return end - begin == bytes
            ? new SafetensorsInfo(member.Name, dtype, shape, dataStart + begin, bytes)
            : throw Bad($"has {end - begin} bytes, but {typeName}[{string.Join(", ", shape)}] needs {bytes}");
    }

    private static long[]? Extents(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            return null;
        }

        long[] extents = new long[value.GetArrayLength()];
        int i = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out extents[i]) || extents[i] < 0)
            {
                return null;
            }

            i++;
        }

        return extents;
    }

    private static long? ByteLength(long[] shape, SafetensorsType type)
    {
        UInt128 bytes = (UInt128)type.Size();
        foreach (long extent in shape)
        {
            bytes *= (UInt128)extent;
            if (bytes > long.MaxValue)
            {
                return null;
            }
        }

        return (long)bytes;
    }

    private static void CheckLayout(IEnumerable<SafetensorsInfo> tensors, long dataStart, long fileLength, string source)
    {
        long position = dataStart;
        string before = "the header";
        foreach (SafetensorsInfo tensor in tensors.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.ByteLength))
        {
            if (tensor.Offset != position)
            {
                throw new UserErrorException(tensor.Offset < position
                    ? $"{source}: tensor \"{tensor.Name}\" overlaps {before} by {position - tensor.Offset} bytes; the file is damaged or was made to deceive."
                    : $"{source}: {tensor.Offset - position} bytes between {before} and tensor \"{tensor.Name}\" belong to no tensor; the file is damaged or was made to deceive.");
            }

            position += tensor.ByteLength;
            before = $"tensor \"{tensor.Name}\"";
        }

        if (position != fileLength)
        {
            throw new UserErrorException($"{source}: {fileLength - position} bytes after {before} belong to no tensor; the file is damaged or was made to deceive.");
        }
    }

    private static string Shorten(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length > 60 ? text[..60] + "…" : text;
    }
}
