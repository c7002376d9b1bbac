namespace PureQLora.Kernels;

/// <summary>Host memory of a <see cref="RehearsalDevice"/>.</summary>
internal sealed class RehearsalPinnedMemory(int byteLength) : PinnedMemory
{
    private readonly byte[] _bytes = new byte[byteLength];

    public override Span<byte> Bytes => _bytes;

    protected override void Dispose(bool disposing)
    {
    }
}
