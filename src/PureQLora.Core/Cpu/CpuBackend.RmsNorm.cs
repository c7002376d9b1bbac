using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Rows whose share of a weight gradient is summed before the shares are added in order.</summary>
    private const int NormRowsPerPartial = 64;

    /// <inheritdoc/>
    public void RmsNormForward(Tensor x, Tensor weight, float epsilon, Tensor y, Tensor rstd)
    {
        int width = (int)x.Shape.Columns;
        RmsNormForwardBody body = new(Floats(x), Floats(weight), epsilon, width, Floats(y), Floats(rstd));
        _pool.For(x.Shape.Rows, RowGrain(width), ref body);
    }

    /// <inheritdoc/>
    public void RmsNormBackward(Tensor dy, Tensor x, Tensor weight, Tensor rstd, Tensor? dx, Tensor? dWeight)
    {
        int width = (int)x.Shape.Columns;
        long partials = (x.Shape.Rows + NormRowsPerPartial - 1) / NormRowsPerPartial;
        using Scratch shares = Scratch.Rent(dWeight is null ? 0 : partials * width);
        RmsNormBackwardBody body = new(
            Floats(dy), Floats(x), Floats(weight), Floats(rstd), x.Shape.Rows, width, Floats(dx), dWeight is null ? null : shares.Floats);
        _pool.For(partials, 1, ref body);
        for (long p = 0; dWeight is not null && p < partials; p++)
        {
            Span<float> total = new(Floats(dWeight), width);
            TensorPrimitives.Add(total, new ReadOnlySpan<float>(shares.Floats + (p * width), width), total);
        }
    }

    private readonly struct RmsNormForwardBody(float* x, float* weight, float epsilon, int width, float* y, float* rstd) : IParallelRange
    {
        public void Run(long start, long end)
        {
            ReadOnlySpan<float> w = new(weight, width);
            for (long row = start; row < end; row++)
            {
                ReadOnlySpan<float> source = new(x + (row * width), width);
                Span<float> target = new(y + (row * width), width);
                float inverse = 1f / MathF.Sqrt((TensorPrimitives.SumOfSquares(source) / width) + epsilon);
                rstd[row] = inverse;
                TensorPrimitives.Multiply(source, inverse, target);
                TensorPrimitives.Multiply(target, w, target);
            }
        }
    }

    private readonly struct RmsNormBackwardBody(
        float* dy, float* x, float* weight, float* rstd, long rows, int width, float* dx, float* shares) : IParallelRange
    {
        public void Run(long start, long end)
        {
            using Scratch scratch = Scratch.Rent(width);
            Span<float> weighted = new(scratch.Floats, width);       // dy · w, then dy · x · rstd
            for (long partial = start; partial < end; partial++)
            {
                Span<float> share = shares is null ? default : new(shares + (partial * width), width);
                share.Clear();
                long last = Math.Min(rows, (partial + 1) * NormRowsPerPartial);
                for (long row = partial * NormRowsPerPartial; row < last; row++)
                {
                    ReadOnlySpan<float> gradient = new(dy + (row * width), width);
                    ReadOnlySpan<float> source = new(x + (row * width), width);
                    float r = rstd[row];
                    if (dx is not null)
                    {
                        Span<float> target = new(dx + (row * width), width);
                        TensorPrimitives.Multiply(gradient, new ReadOnlySpan<float>(weight, width), weighted);
                        float mean = TensorPrimitives.Dot(weighted, source) / width;
                        TensorPrimitives.MultiplyAdd(weighted, r, target, target);
                        TensorPrimitives.MultiplyAdd(source, -mean * r * r * r, target, target);
                    }

                    if (shares is not null)
                    {
                        TensorPrimitives.Multiply(gradient, source, weighted);
                        TensorPrimitives.MultiplyAdd(weighted, r, share, share);
                    }
                }
            }
        }
    }
}
