using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend : ICopyKernels, ITransposeKernels
{
    /// <inheritdoc/>
    public void CopySlice(Tensor source, long sourceStart, Tensor destination, long destinationStart, long length, int axis, bool accumulate)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(destination);
        int at = axis < 0 ? axis + source.Shape.Rank : axis;
        if (source.Shape.With(at, 0) != destination.Shape.With(at, 0)
            || length < 0 || sourceStart < 0 || destinationStart < 0
            || sourceStart > source.Shape[at] - length || destinationStart > destination.Shape[at] - length)
        {
            throw new ArgumentException(
                $"{length} elements of axis {at} from {sourceStart} of {source.Shape} do not fit at {destinationStart} of {destination.Shape}.", nameof(length));
        }

        (long outer, long sourceExtent, long inner) = source.Shape.Around(at);
        long targetExtent = destination.Shape[at];
        StridedCopy copy = new(
            new Extents(1, (int)outer, (int)length, (int)inner),
            (int)(sourceStart * inner),
            new Extents(0, (int)(sourceExtent * inner), (int)inner, 1),
            (int)(destinationStart * inner),
            new Extents(0, (int)(targetExtent * inner), (int)inner, 1));
        Copy(source, destination, copy, accumulate);
    }

    /// <inheritdoc/>
    public void Transpose(Tensor x, int axis0, int axis1, Tensor y, bool accumulate)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        Span<int> strides = [0, 0, 0, 0];
        int pad = 4 - x.Shape.Rank;
        int stride = 1;
        for (int i = x.Shape.Rank - 1; i >= 0; i--)
        {
            int swapped = i == axis0 ? axis1 : (i == axis1 ? axis0 : i);
            strides[pad + swapped] = stride;
            stride *= (int)x.Shape[i];
        }

        Extents box = ExtentsOf(y.Shape);
        StridedCopy copy = new(
            box,
            0,
            new Extents(strides[0], strides[1], strides[2], strides[3]),
            0,
            new Extents(box.Y * box.Z * box.W, box.Z * box.W, box.W, 1));
        Copy(x, y, copy, accumulate);
    }

    private void Copy(Tensor source, Tensor destination, StridedCopy copy, bool accumulate)
    {
        if (source.DataType != destination.DataType || (accumulate && source.DataType != DataType.Float32))
        {
            throw new ArgumentException($"{source} cannot be {(accumulate ? "added" : "copied")} to {destination}; types must be equal, and Float32 to add.", nameof(destination));
        }

        (_, _) = (Count(source), Count(destination));
        int count = copy.Box.X * copy.Box.Y * copy.Box.Z * copy.Box.W;
        if (count == 0)
        {
            return;
        }

        DataType type = source.DataType;
        LaunchShape shape = LaunchShape.For(count, CopyKernels.Words.GroupSize);
        if (accumulate)
        {
            _device.Launch(CopyKernels.Add, shape, Arguments<float>(source, destination, type, copy, count));
        }
        else if (type.Size() == sizeof(uint))
        {
            _device.Launch(CopyKernels.Words, shape, Arguments<uint>(source, destination, type, copy, count));
        }
        else
        {
            _device.Launch(CopyKernels.HalfWords, shape, Arguments<ushort>(source, destination, type, copy, count));
        }
    }

    private static CopyKernels.Arguments<T> Arguments<T>(Tensor source, Tensor destination, DataType type, StridedCopy copy, int count)
        where T : unmanaged => new(
            copy.Box, count, View<T>(source, type), copy.SourceStart, copy.SourceStrides, View<T>(destination, type), copy.TargetStart, copy.TargetStrides);

    private readonly record struct StridedCopy(Extents Box, int SourceStart, Extents SourceStrides, int TargetStart, Extents TargetStrides);
}
