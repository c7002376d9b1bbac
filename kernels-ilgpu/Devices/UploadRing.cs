namespace PureQLora.Kernels;

/// <summary>
/// Pinned memory that uploads go through: what the caller has is copied there, and the device fetches it in the order of its launches, so
/// that nobody waits before the ring is full.
/// </summary>
/// <param name="device">Fetches.</param>
/// <param name="byteLength">Bytes of the ring.</param>
internal sealed class UploadRing(Device device, int byteLength) : IDisposable
{
    /// <summary>Part of the ring that is handed over at once: the device has work before the next part is copied.</summary>
    private readonly int _pieceBytes = Math.Max(1, byteLength / 8);

    private PinnedMemory? _pinned;
    private int _used;

    /// <summary>Starts a copy and returns; the source may be changed at once.</summary>
    /// <param name="destination">Where it goes.</param>
    /// <param name="byteOffset">First byte there.</param>
    /// <param name="source">Bytes.</param>
    public void Write(DeviceMemory destination, long byteOffset, ReadOnlySpan<byte> source)
    {
        _pinned ??= device.AllocatePinned(byteLength);
        while (!source.IsEmpty)
        {
            if (_used == byteLength)
            {
                device.Synchronize();
                _used = 0;
            }

            int count = Math.Min(source.Length, Math.Min(_pieceBytes, byteLength - _used));
            source[..count].CopyTo(_pinned.Bytes[_used..]);
            destination.CopyFromAsync(byteOffset, _pinned, _used, count);
            byteOffset += count;
            _used += count;
            source = source[count..];
        }
    }

    /// <summary>Releases the ring, after the device has fetched everything.</summary>
    public void Dispose() => _pinned?.Dispose();
}
