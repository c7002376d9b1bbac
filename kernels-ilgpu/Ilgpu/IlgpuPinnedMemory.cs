using ILGPU.Runtime;

namespace PureQLora.Kernels;

/// <summary>Page-locked host memory of an ILGPU accelerator.</summary>
internal sealed class IlgpuPinnedMemory(Accelerator accelerator, int byteLength) : PinnedMemory
{
    private readonly PageLockedArray1D<byte> _array = accelerator.AllocatePageLocked1D<byte>(byteLength);

    public override Span<byte> Bytes => _array.Span;

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _array.Dispose();
        }
    }
}
