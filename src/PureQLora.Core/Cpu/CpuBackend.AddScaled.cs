using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Elements of one chunk of element-wise work: large enough to hide the cost of a parallel region.</summary>
    private const int ElementGrain = 1 << 14;

    /// <inheritdoc/>
    public void AddScaled(Tensor x, float alpha, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        AddScaledBody body = new((float*)x.Host(DataType.Float32), alpha, (float*)y.Host(DataType.Float32));
        _pool.For(x.Shape.Count, ElementGrain, ref body);
        GC.KeepAlive(x);
        GC.KeepAlive(y);
    }

    private readonly struct AddScaledBody(float* x, float alpha, float* y) : IParallelRange
    {
        public void Run(long start, long end)
        {
            int length = (int)(end - start);
            Span<float> target = new(y + start, length);
            TensorPrimitives.MultiplyAdd(new ReadOnlySpan<float>(x + start, length), alpha, target, target);
        }
    }
}
