using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : IMemoryKernels
{
    /// <inheritdoc/>
    public void Zero(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        Memory(x).ZeroAsync(x.ByteOffset, x.ByteLength);
    }

    /// <inheritdoc/>
    public void Fill(Tensor x, float value)
    {
        ArgumentNullException.ThrowIfNull(x);
        int count = Count(x);
        _device.Launch(MemoryKernels.Fill, LaunchShape.For(count, MemoryKernels.Fill.GroupSize), new MemoryKernels.FillArguments(Floats(x), count, value));
    }

    /// <inheritdoc/>
    public void Move(Storage source, long sourceOffset, Storage destination, long destinationOffset, long byteLength)
    {
        DeviceMemory from = (DeviceMemory)source;
        DeviceMemory to = (DeviceMemory)destination;
        if (!ReferenceEquals(from, to) || Math.Abs(sourceOffset - destinationOffset) >= byteLength)
        {
            to.CopyFromAsync(destinationOffset, from, sourceOffset, byteLength);
        }
        else if (sourceOffset != destinationOffset)
        {
            DeviceMemory between = Workspace(byteLength);
            between.CopyFromAsync(0, from, sourceOffset, byteLength);
            to.CopyFromAsync(destinationOffset, between, 0, byteLength);
        }
    }

    /// <inheritdoc/>
    public void AddScaled(Tensor x, float alpha, Tensor y) => LaunchAffine(x, alpha, 0f, TargetMode.Add, y);

    private void LaunchAffine(Tensor x, float factor, float term, int target, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        int count = Count(x);
        _device.Launch(
            MemoryKernels.Affine,
            LaunchShape.For(count, MemoryKernels.Affine.GroupSize),
            new MemoryKernels.AffineArguments(Floats(x), count, factor, term, target, Floats(y)));
    }
}
