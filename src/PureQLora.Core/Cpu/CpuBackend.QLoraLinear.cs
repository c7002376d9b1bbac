using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Rows whose share of a bias gradient is summed before the shares are added in order.</summary>
    private const int BiasRowsPerPartial = 64;

    /// <inheritdoc/>
    public void LinearBias(Tensor bias, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(y);
        int width = (int)y.Shape.Columns;
        LinearBiasBody body = new(Floats(bias), width, Floats(y));
        _pool.For(y.Shape.Rows, RowGrain(width), ref body);
    }

    /// <inheritdoc/>
    public void LinearBiasBackward(Tensor dy, Tensor dBias)
    {
        ArgumentNullException.ThrowIfNull(dy);
        int width = (int)dy.Shape.Columns;
        long partials = (dy.Shape.Rows + BiasRowsPerPartial - 1) / BiasRowsPerPartial;
        using Scratch shares = Scratch.Rent(partials * width);
        LinearBiasBackwardBody body = new(Floats(dy), dy.Shape.Rows, width, shares.Floats);
        _pool.For(partials, Math.Max(1, RowGrain(width) / BiasRowsPerPartial), ref body);
        Span<float> total = new(Floats(dBias), width);
        for (long p = 0; p < partials; p++)
        {
            TensorPrimitives.Add(total, new ReadOnlySpan<float>(shares.Floats + (p * width), width), total);
        }
    }

    /// <inheritdoc/>
    public void QLoraProduct(Tensor x, WeightMatrix weight, bool transpose, Tensor low, Tensor factor, bool accumulate, Tensor y, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(low);
        ArgumentNullException.ThrowIfNull(factor);
        ArgumentNullException.ThrowIfNull(y);
        GemmProblem problem = WeightProblem(x, weight, transpose, accumulate, y, precision);
        GemmTerm adapter = new()
        {
            Left = MatrixSource.Of(low),
            Right = MatrixSource.Of(factor),
            LeftIsInner = true,
            RightIsInner = transpose,
            Depth = low.Shape.Columns,
        };
        if (problem.M > FewRows && precision != Precision.Int8)
        {
            problem.Second = adapter;
            Gemm(problem);
        }
        else
        {
            // Few rows have kernels of their own, for one term.
            Gemm(problem);
            Gemm(problem with { First = adapter, Accumulate = true });
        }

        GC.KeepAlive(weight);
        GC.KeepAlive(x);
        GC.KeepAlive(low);
        GC.KeepAlive(factor);
    }

    private readonly struct LinearBiasBody(float* bias, int width, float* y) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long row = start; row < end; row++)
            {
                Span<float> target = new(y + (row * width), width);
                TensorPrimitives.Add(target, new ReadOnlySpan<float>(bias, width), target);
            }
        }
    }

    private readonly struct LinearBiasBackwardBody(float* dy, long rows, int width, float* shares) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long partial = start; partial < end; partial++)
            {
                Span<float> share = new(shares + (partial * width), width);
                share.Clear();
                long last = Math.Min(rows, (partial + 1) * BiasRowsPerPartial);
                for (long row = partial * BiasRowsPerPartial; row < last; row++)
                {
                    TensorPrimitives.Add(share, new ReadOnlySpan<float>(dy + (row * width), width), share);
                }
            }
        }
    }
}
