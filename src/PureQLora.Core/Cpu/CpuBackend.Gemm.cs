using System.Numerics.Tensors;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    private void Gemm(in GemmShape shape, MatrixSource a, bool transposeA, MatrixSource b, bool transposeB, bool accumulate, float* c)
    {
        (int m, int n, int k) = ((int)shape.M, (int)shape.N, (int)shape.K);
        using Scratch left = Scratch.Rent((long)m * k);      // [m, k]
        using Scratch right = Scratch.Rent((long)n * k);     // [n, k]
        using Scratch row = Scratch.Rent(Math.Max(Math.Max(m, n), k));
        Expand(a, m, k, transposeA, left.Floats, row.Floats, shape.RoundsOperands);
        Expand(b, n, k, !transposeB, right.Floats, row.Floats, shape.RoundsOperands);
        GemmBody body = new(left.Floats, right.Floats, n, k, shape.Alpha, accumulate, c);
        _pool.For(m, RowGrain((long)n * k), ref body);
    }

    private static void Expand(MatrixSource source, int outer, int k, bool innerFirst, float* target, float* buffer, bool round)
    {
        for (int r = 0; r < (innerFirst ? k : outer); r++)
        {
            int length = innerFirst ? outer : k;
            float* row = source.Row(r, 0, length, buffer);
            for (int i = 0; i < length; i++)
            {
                target[innerFirst ? ((long)i * k) + r : ((long)r * k) + i] = round ? BFloat16.Round(row[i]) : row[i];
            }
        }
    }

    /// <summary>Extents and options of one product.</summary>
    private readonly record struct GemmShape(long M, long N, long K, float Alpha, bool RoundsOperands);

    private readonly struct GemmBody(float* left, float* right, int n, int k, float alpha, bool accumulate, float* c) : IParallelRange
    {
        public void Run(long start, long end)
        {
            for (long i = start; i < end; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    float dot = k == 0 ? 0f : alpha * TensorPrimitives.Dot(new ReadOnlySpan<float>(left + (i * k), k), new ReadOnlySpan<float>(right + ((long)j * k), k));
                    c[(i * n) + j] = accumulate ? c[(i * n) + j] + dot : dot;
                }
            }
        }
    }
}
