namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Cast(Tensor x, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        bool widens = y.DataType == DataType.Float32 && x.DataType is DataType.BFloat16 or DataType.Float16;
        if ((!widens && (x.DataType, y.DataType) != (DataType.Float32, DataType.BFloat16)) || x.Shape.Count != y.Shape.Count)
        {
            throw new ArgumentException($"{x} cannot be cast to {y}.", nameof(y));
        }

        CastBody body = new(x.Host(), x.DataType, y.Host());
        _pool.For(x.Shape.Count, ElementGrain, ref body);
        GC.KeepAlive(x);
        GC.KeepAlive(y);
    }

    private readonly struct CastBody(byte* x, DataType from, byte* y) : IParallelRange
    {
        public void Run(long start, long end)
        {
            long count = end - start;
            if (from == DataType.Float32)
            {
                FloatConversion.ToBFloat16((float*)x + start, count, (ushort*)y + start);
            }
            else
            {
                FloatConversion.ToFloat32(x + (start * from.Size()), from, count, (float*)y + start);
            }
        }
    }
}
