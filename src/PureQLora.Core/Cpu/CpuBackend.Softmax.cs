using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void SoftmaxForward(Tensor x, Tensor y)
    {
        SoftmaxForwardBody body = new(Floats(x), checked((int)x.Shape.Columns), logarithm: false, Floats(y));
        _pool.For(Rows(x.Shape), RowGrain(x.Shape.Columns), ref body);
    }

    /// <inheritdoc/>
    public void SoftmaxBackward(Tensor dy, Tensor y, Tensor dx)
    {
        SoftmaxBackwardBody body = new(Floats(dy), Floats(y), checked((int)y.Shape.Columns), logarithm: false, Floats(dx));
        _pool.For(Rows(y.Shape), RowGrain(y.Shape.Columns), ref body);
    }

    /// <inheritdoc/>
    public void LogSoftmaxForward(Tensor x, Tensor y)
    {
        SoftmaxForwardBody body = new(Floats(x), checked((int)x.Shape.Columns), logarithm: true, Floats(y));
        _pool.For(Rows(x.Shape), RowGrain(x.Shape.Columns), ref body);
    }

    /// <inheritdoc/>
    public void LogSoftmaxBackward(Tensor dy, Tensor y, Tensor dx)
    {
        SoftmaxBackwardBody body = new(Floats(dy), Floats(y), checked((int)y.Shape.Columns), logarithm: true, Floats(dx));
        _pool.For(Rows(y.Shape), RowGrain(y.Shape.Columns), ref body);
    }

    /// <summary>Rows to compute; none where they have no elements.</summary>
    private static long Rows(Shape shape) => shape.Columns == 0 ? 0 : shape.Rows;

    private readonly struct SoftmaxForwardBody(float* x, int width, bool logarithm, float* y) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long row = start; row < end; row++)
            {
                ReadOnlySpan<float> source = new(x + (row * width), width);
                Span<float> target = new(y + (row * width), width);
                float max = TensorPrimitives.Max(source);
                if (float.IsNegativeInfinity(max))
                {
                    target.Fill(logarithm ? float.NegativeInfinity : 0f);
                    continue;
                }

                TensorPrimitives.Subtract(source, max, target);
                if (logarithm)
                {
                    TensorPrimitives.Subtract(target, (float)Math.Log(SumOfExponentials(target)), target);
                }
                else
                {
                    TensorPrimitives.Exp(target, target);
                    TensorPrimitives.Multiply(target, (float)(1.0 / SumOf(y + (row * width), width)), target);
                }
            }
        }

        private static double SumOfExponentials(ReadOnlySpan<float> values)
        {
            Span<float> block = stackalloc float[CacheBlock];
            double total = 0;
            for (int at = 0; at < values.Length; at += CacheBlock)
            {
                ReadOnlySpan<float> piece = values.Slice(at, Math.Min(CacheBlock, values.Length - at));
                TensorPrimitives.Exp(piece, block);
                total += TensorPrimitives.Sum<float>(block[..piece.Length]);
            }

            return total;
        }
    }

    private readonly struct SoftmaxBackwardBody(float* dy, float* y, int width, bool logarithm, float* dx) : IParallelRange
    {
        public void Run(long start, long end)
        {
            Span<float> block = stackalloc float[CacheBlock];
            for (long row = start; row < end; row++)
            {
                float* gradient = dy + (row * width);
                float* value = y + (row * width);
                if (logarithm && float.IsNegativeInfinity(TensorPrimitives.Max(new ReadOnlySpan<float>(value, width))))
                {
                    continue;
                }

                float sum = (float)(logarithm ? SumOf(gradient, width) : Dot(gradient, value));
                for (int at = 0; at < width; at += CacheBlock)
                {
                    Span<float> piece = block[..Math.Min(CacheBlock, width - at)];
                    ReadOnlySpan<float> g = new(gradient + at, piece.Length);
                    ReadOnlySpan<float> v = new(value + at, piece.Length);
                    if (logarithm)
                    {
                        TensorPrimitives.Exp(v, piece);
                        TensorPrimitives.MultiplyAdd(piece, -sum, g, piece);
                    }
                    else
                    {
                        TensorPrimitives.Subtract(g, sum, piece);
                        TensorPrimitives.Multiply(piece, v, piece);
                    }

                    Span<float> target = new(dx + (row * width) + at, piece.Length);
                    TensorPrimitives.Add(target, piece, target);
                }
            }
        }

        private double Dot(float* left, float* right)
        {
            double total = 0;
            for (int at = 0; at < width; at += CacheBlock)
            {
                int length = Math.Min(CacheBlock, width - at);
                total += TensorPrimitives.Dot(new ReadOnlySpan<float>(left + at, length), new ReadOnlySpan<float>(right + at, length));
            }

            return total;
        }
    }
}
