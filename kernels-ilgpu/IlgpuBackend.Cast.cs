using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : ICastKernels
{
    /// <inheritdoc/>
    public void Cast(Tensor x, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        int count = Count(x);
        bool widens = y.DataType == DataType.Float32 && x.DataType is DataType.BFloat16 or DataType.Float16;
        if ((!widens && (x.DataType, y.DataType) != (DataType.Float32, DataType.BFloat16)) || count != y.Shape.Count)
        {
            throw new ArgumentException($"{x} cannot be cast to {y}.", nameof(y));
        }

        LaunchShape shape = LaunchShape.For(count, CastKernels.Widen.GroupSize);
        if (widens)
        {
            _device.Launch(CastKernels.Widen, shape, new CastKernels.WidenArguments(Floating(x), count, Floats(y)));
        }
        else
        {
            _device.Launch(CastKernels.Narrow, shape, new CastKernels.NarrowArguments(Floats(x), count, View<ushort>(y, DataType.BFloat16)));
        }
    }
}
