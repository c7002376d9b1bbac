namespace PureQLora.Models;

/// <summary>What a safetensors header says about one tensor.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Extents, outermost first; empty for a scalar. Treat as read-only.</param>
/// <param name="Offset">First byte, counted from the start of the file.</param>
/// <param name="ByteLength">Bytes of all elements.</param>
public sealed record SafetensorsInfo(string Name, SafetensorsType Type, IReadOnlyList<long> Shape, long Offset, long ByteLength)
{
    /// <summary>Number of elements.</summary>
    public long Count => ByteLength / Type.Size();

    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Type.ToName()}[{string.Join(", ", Shape)}]";
}
