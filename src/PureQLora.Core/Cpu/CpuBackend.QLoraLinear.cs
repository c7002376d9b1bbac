using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Rows that are summed in float32 before the shares are added in order.</summary>
    private const int SumRowsPerPartial = 256;

    /// <inheritdoc/>
    public void WeightMatMul(Tensor x, WeightMatrix weight, bool transposeWeight, bool accumulate, Tensor y, Precision precision)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        ArgumentNullException.ThrowIfNull(y);
        GemmOperand rows = weight.Dense is { } dense
            ? new GemmOperand(dense.Host(), dense.DataType, weight.InDim)
            : new GemmOperand(weight.Quantized!);
        (long n, long k) = transposeWeight ? (weight.OutDim, weight.InDim) : ((long)weight.InDim, weight.OutDim);
        Multiply(new GemmProblem(
            x.Shape.Rows, n, k, new GemmOperand((byte*)Floats(x), DataType.Float32, k), true, rows, transposeWeight, 1f, accumulate, Floats(y), precision == Precision.BFloat16));
        GC.KeepAlive(weight);
    }

    /// <inheritdoc/>
    public void FillRows(Tensor bias, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(y);
        FillRowsBody body = new(Floats(bias), (int)y.Shape.Columns, Floats(y));
        _pool.For(y.Shape.Rows, RowGrain(y.Shape.Columns), ref body);
    }

    /// <inheritdoc/>
    public void AddRowSums(Tensor x, Tensor sum)
    {
        ArgumentNullException.ThrowIfNull(x);
        int width = (int)x.Shape.Columns;
        long partials = (x.Shape.Rows + SumRowsPerPartial - 1) / SumRowsPerPartial;
        using Scratch shares = Scratch.Rent(partials * width);
        RowSumsBody body = new(Floats(x), x.Shape.Rows, width, shares.Floats);
        _pool.For(partials, 1, ref body);
        Span<float> total = new(Floats(sum), width);
        for (long p = 0; p < partials; p++)
        {
            TensorPrimitives.Add(total, new ReadOnlySpan<float>(shares.Floats + (p * width), width), total);
        }
    }

    /// <inheritdoc/>
    public void Dropout(Tensor x, ulong key, float probability, bool accumulate, Tensor y)
    {
        ArgumentNullException.ThrowIfNull(x);
        DropoutBody body = new(Floats(x), key, probability, Floats(y), accumulate);
        _pool.For(x.Shape.Count, ElementGrain / 4, ref body);
    }

    private readonly struct FillRowsBody(float* bias, int width, float* y) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long row = start; row < end; row++)
            {
                new ReadOnlySpan<float>(bias, width).CopyTo(new Span<float>(y + (row * width), width));
            }
        }
    }

    private readonly struct RowSumsBody(float* x, long rows, int width, float* shares) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long partial = start; partial < end; partial++)
            {
                Span<float> share = new(shares + (partial * width), width);
                share.Clear();
                long last = Math.Min(rows, (partial + 1) * SumRowsPerPartial);
                for (long row = partial * SumRowsPerPartial; row < last; row++)
                {
                    TensorPrimitives.Add(share, new ReadOnlySpan<float>(x + (row * width), width), share);
                }
            }
        }
    }
}
