using System.Diagnostics;
using System.Numerics;
using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Elements that a kernel of several passes takes at once, so that they stay in the first-level cache.</summary>
    private const int CacheBlock = 512;

    /// <inheritdoc/>
    public void UnaryForward(UnaryKind kind, Tensor x, Tensor y)
    {
        UnaryForwardBody body = new(kind, Floats(x), Floats(y));
        _pool.For(x.Shape.Count, ElementGrain, ref body);
    }

    /// <inheritdoc/>
    public void UnaryBackward(UnaryKind kind, Tensor dy, Tensor x, Tensor y, Tensor dx)
    {
        UnaryBackwardBody body = new(kind, Floats(dy), Floats(x), Floats(y), Floats(dx));
        _pool.For(x.Shape.Count, ElementGrain, ref body);
    }

    private readonly struct UnaryForwardBody(UnaryKind kind, float* x, float* y) : IParallelRange
    {
        public void Run(long start, long end)
        {
            Span<float> scratch = stackalloc float[2 * CacheBlock];
            for (long at = start; at < end; at += CacheBlock)
            {
                int length = (int)Math.Min(CacheBlock, end - at);
                Value(new ReadOnlySpan<float>(x + at, length), new Span<float>(y + at, length), scratch);
            }
        }

        private void Value(ReadOnlySpan<float> source, Span<float> target, Span<float> scratch)
        {
            switch (kind)
            {
                case UnaryKind.Exp:
                    TensorPrimitives.Exp(source, target);
                    break;
                case UnaryKind.Log:
                    TensorPrimitives.Log(source, target);
                    break;
                case UnaryKind.Sqrt:
                    TensorPrimitives.Sqrt(source, target);
                    break;
                case UnaryKind.Tanh:
                    HyperbolicTangent.Compute(source, target, scratch);
                    break;
                case UnaryKind.Sigmoid:
                    TensorPrimitives.Sigmoid(source, target);
                    break;
                case UnaryKind.Silu:
                    TensorPrimitives.Sigmoid(source, target);
                    TensorPrimitives.Multiply(source, target, target);
                    break;
                case UnaryKind.Gelu:
                    GaussianError.Distribution(source, target, scratch);
                    TensorPrimitives.Multiply(source, target, target);
                    break;
                case UnaryKind.GeluTanh:
                    GaussianError.TanhArgument(source, target);
                    HyperbolicTangent.Compute(target, target, scratch);
                    TensorPrimitives.Add(target, 1f, target);
                    TensorPrimitives.Multiply(target, 0.5f, target);
                    TensorPrimitives.Multiply(source, target, target);
                    break;
                case UnaryKind.Relu:
                    TensorPrimitives.Max(source, 0f, target);
                    break;
                case UnaryKind.Negate:
                    TensorPrimitives.Negate(source, target);
                    break;
                case UnaryKind.Square:
                    TensorPrimitives.Multiply(source, source, target);
                    break;
                case UnaryKind.Abs:
                    TensorPrimitives.Abs(source, target);
                    break;
                default:
                    throw new UnreachableException($"No function {kind}.");
            }
        }
    }

    private readonly struct UnaryBackwardBody(UnaryKind kind, float* dy, float* x, float* y, float* dx) : IParallelRange
    {
        public void Run(long start, long end)
        {
            Span<float> slopes = stackalloc float[CacheBlock];
            Span<float> scratch = stackalloc float[4 * CacheBlock];
            for (long at = start; at < end; at += CacheBlock)
            {
                int length = (int)Math.Min(CacheBlock, end - at);
                Span<float> slope = slopes[..length];
                Slope(new ReadOnlySpan<float>(x + at, length), new ReadOnlySpan<float>(y + at, length), slope, scratch);
                Span<float> target = new(dx + at, length);
                TensorPrimitives.MultiplyAdd(new ReadOnlySpan<float>(dy + at, length), slope, target, target);
            }
        }

        private void Slope(ReadOnlySpan<float> source, ReadOnlySpan<float> value, Span<float> slope, Span<float> scratch)
        {
            switch (kind)
            {
                case UnaryKind.Exp:
                    value.CopyTo(slope);
                    break;
                case UnaryKind.Log:
                    TensorPrimitives.Divide(1f, source, slope);
                    break;
                case UnaryKind.Sqrt:
                    TensorPrimitives.Divide(0.5f, value, slope);
                    break;
                case UnaryKind.Tanh:
                    TensorPrimitives.Multiply(value, value, slope);
                    TensorPrimitives.Subtract(1f, slope, slope);
                    break;
                case UnaryKind.Sigmoid:
                    TensorPrimitives.Subtract(1f, value, slope);
                    TensorPrimitives.Multiply(slope, value, slope);
                    break;
                case UnaryKind.Silu:
                    // σ + y · (1 − σ)
                    Span<float> sigmoid = scratch[..source.Length];
                    TensorPrimitives.Sigmoid(source, sigmoid);
                    TensorPrimitives.Subtract(1f, sigmoid, slope);
                    TensorPrimitives.MultiplyAdd(slope, value, sigmoid, slope);
                    break;
                case UnaryKind.Gelu:
                    GaussianError.GeluSlope(source, slope, scratch);
                    break;
                case UnaryKind.GeluTanh:
                    GaussianError.GeluTanhSlope(source, slope, scratch);
                    break;
                case UnaryKind.Relu:
                    BySign(source, 0f, 1f, slope);
                    break;
                case UnaryKind.Negate:
                    slope.Fill(-1f);
                    break;
                case UnaryKind.Square:
                    TensorPrimitives.Multiply(source, 2f, slope);
                    break;
                case UnaryKind.Abs:
                    BySign(source, -1f, 1f, slope);
                    break;
                default:
                    throw new UnreachableException($"No function {kind}.");
            }
        }

        /// <summary>One value where x is below 0, another where it is above, and 0 at 0.</summary>
        private static void BySign(ReadOnlySpan<float> source, float below, float above, Span<float> target)
        {
            int i = 0;
            for (; i <= source.Length - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector<float> v = new(source[i..]);
                Vector<float> low = Vector.ConditionalSelect(Vector.LessThan(v, Vector<float>.Zero), new Vector<float>(below), Vector<float>.Zero);
                Vector.ConditionalSelect(Vector.GreaterThan(v, Vector<float>.Zero), new Vector<float>(above), low).CopyTo(target[i..]);
            }

            for (; i < source.Length; i++)
            {
                target[i] = source[i] > 0f ? above : source[i] < 0f ? below : 0f;
            }
        }
    }
}
