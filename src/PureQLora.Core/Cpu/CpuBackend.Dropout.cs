using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void DropoutForward(Tensor x, ulong key, float probability, Tensor y)
    {
        DropoutBody body = new(Floats(x), key, probability, Floats(y), accumulate: false);
        _pool.For(x.Shape.Count, ElementGrain, ref body);
    }

    /// <inheritdoc/>
    public void DropoutBackward(Tensor dy, ulong key, float probability, Tensor dx)
    {
        DropoutBody body = new(Floats(dy), key, probability, Floats(dx), accumulate: true);
        _pool.For(dy.Shape.Count, ElementGrain, ref body);
    }

    private readonly struct DropoutBody(float* source, ulong key, float probability, float* target, bool accumulate) : IParallelRange
    {
        public void Run(long start, long end)
        {
            Span<uint> block = stackalloc uint[CacheBlock];
            float scale = 1f / (1f - probability);
            for (long at = start; at < end; at += CacheBlock)
            {
                Span<uint> bits = block[..(int)Math.Min(CacheBlock, end - at)];
                DropoutMask.Keep(key, at, probability, bits);

                // A mask, not a product with 0: a dropped element is 0 even where x is not finite.
                TensorPrimitives.BitwiseAnd(bits, new ReadOnlySpan<uint>(source + at, bits.Length), bits);
                ReadOnlySpan<float> kept = MemoryMarshal.Cast<uint, float>(bits);
                Span<float> result = new(target + at, bits.Length);
                if (accumulate)
                {
                    TensorPrimitives.MultiplyAdd(kept, scale, result, result);
                }
                else
                {
                    TensorPrimitives.Multiply(kept, scale, result);
                }
            }
        }
    }
}
