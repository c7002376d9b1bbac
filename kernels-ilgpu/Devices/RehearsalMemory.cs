using ILGPU;

namespace PureQLora.Kernels;

/// <summary>A block of a <see cref="RehearsalDevice"/>: a length and nothing else. All of it reads as 0.</summary>
/// <param name="device">Counts it.</param>
/// <param name="byteLength">Bytes.</param>
internal sealed class RehearsalMemory(RehearsalDevice device, long byteLength) : DeviceMemory(device, byteLength)
{
    public override ArrayView<T> View<T>(long byteOffset, long count)
    {
        CheckView<T>(byteOffset, count);
        return default;
    }

    public override void Read(long byteOffset, Span<byte> destination)
    {
        CheckRange(byteOffset, destination.Length);
        destination.Clear();
    }

    public override void Write(long byteOffset, ReadOnlySpan<byte> source) => CheckRange(byteOffset, source.Length);

    public override void CopyFromAsync(long byteOffset, PinnedMemory source, int sourceOffset, int count) => CheckRange(byteOffset, count);

    public override void CopyToAsync(long byteOffset, PinnedMemory destination, int destinationOffset, int count)
    {
        ArgumentNullException.ThrowIfNull(destination);
        Read(byteOffset, destination.Bytes.Slice(destinationOffset, count));
    }

    public override void CopyFromAsync(long byteOffset, DeviceMemory source, long sourceOffset, long count) =>
        CheckCopy(byteOffset, source, sourceOffset, count);

    public override void ZeroAsync(long byteOffset, long count) => CheckRange(byteOffset, count);

    protected override void Release()
    {
    }
}
