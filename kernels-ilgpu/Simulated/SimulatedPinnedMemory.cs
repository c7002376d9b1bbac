namespace PureQLora.Kernels;

/// <summary>Host memory for the simulation, which copies at once.</summary>
internal sealed class SimulatedPinnedMemory(int byteLength) : PinnedMemory
{
    private readonly byte[] _bytes = new byte[byteLength];

    public override Span<byte> Bytes => _bytes;

    protected override void Dispose(bool disposing)
    {
    }
}
