namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void CopySlice(Tensor source, long sourceStart, Tensor destination, long destinationStart, long length, int axis, bool accumulate)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(destination);
        CheckSameType(source, destination, accumulate);
        int at = source.Shape.Axis(axis);
        if (source.Shape.With(at, 0) != destination.Shape.With(at, 0)
            || length < 0 || sourceStart < 0 || destinationStart < 0
            || sourceStart > source.Shape[at] - length || destinationStart > destination.Shape[at] - length)
        {
            throw new ArgumentException(
                $"{length} elements of axis {at} from {sourceStart} of {source.Shape} do not fit at {destinationStart} of {destination.Shape}.", nameof(length));
        }

        (long outer, long extent, long inner) = source.Shape.Around(at);
        int size = source.DataType.Size();
        long run = length * inner;
        CopySliceBody body = new(
            source.Host() + (sourceStart * inner * size), extent * inner * size,
            WritableHost(destination) + (destinationStart * inner * size), destination.Shape[at] * inner * size, run, size, accumulate);
        _pool.For(outer * run, ElementGrain, ref body);
        GC.KeepAlive(source);
        GC.KeepAlive(destination);
    }

    private static byte* WritableHost(Tensor tensor) => tensor.Storage is CpuStorage { IsReadOnly: true }
        ? throw new InvalidOperationException($"{tensor} is mapped read-only; copy it before writing to it.")
        : tensor.Host();

    /// <summary>Items are elements, counted along the runs that move together.</summary>
    private readonly struct CopySliceBody(
        byte* source, long sourceStride, byte* destination, long destinationStride, long run, int size, bool accumulate) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long at = start; at < end;)
            {
                (long outer, long column) = Math.DivRem(at, run);
                long length = Math.Min(run - column, end - at);
                CopyRun(source + (outer * sourceStride) + (column * size), destination + (outer * destinationStride) + (column * size), length * size, accumulate);
                at += length;
            }
        }
    }
}
