namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Multiplications that are worth a work item of their own (a few microseconds).</summary>
    private const long FewRowsItemWork = 1 << 16;

    /// <summary>Terms of a dot product that are taken at once: four rows of it fit the L1 cache. Fixed, as it orders the sum.</summary>
    private const int DotBlock = 2048;

    /// <summary>
    /// c = op(a) · bᵀ with few rows on the left and contiguous rows on the right (decoding, x·Aᵀ of an adapter): every right row is
    /// converted once, into the L1 cache, and multiplied with all left rows.
    /// </summary>
    private void FewRowsProduct<TKernel>(in GemmProblem problem)
        where TKernel : struct, IMicroKernel
    {
        (int m, int k) = ((int)problem.M, checked((int)problem.First.Depth));
        bool asStored = problem.First.Left.IsDirect && problem.First.LeftIsInner && problem.Precision != Precision.BFloat16;
        using Scratch copy = Scratch.Rent(asStored ? 0 : (long)m * k);
        float* left = asStored ? problem.First.Left.Row(0, 0, k, null) : copy.Floats;      // [m, k]
        if (!asStored)
        {
            CopyFewRows(problem, left);
        }

        long groups = (problem.N + 3) / 4;
        FewRowsBody<TKernel> body = new(problem, left);
        long grain = Math.Max(1, FewRowsItemWork / (4L * m * k));
        _pool.For(groups, groups < 2 * grain ? groups : grain, ref body);
    }

    private static void CopyFewRows(in GemmProblem problem, float* left)
    {
        (int m, int k) = ((int)problem.M, (int)problem.First.Depth);
        using Scratch scratch = Scratch.Rent(Math.Max(m, k));
        float* buffer = scratch.Floats;
        for (int r = 0; r < (problem.First.LeftIsInner ? m : k); r++)
        {
            float* row = problem.First.Left.Row(r, 0, problem.First.LeftIsInner ? k : m, buffer);
            if (problem.First.LeftIsInner)
            {
                Buffer.MemoryCopy(row, left + ((long)r * k), k * sizeof(float), k * sizeof(float));
                continue;
            }

            for (int i = 0; i < m; i++)
            {
                left[((long)i * k) + r] = row[i];
            }
        }

        if (problem.Precision == Precision.BFloat16)
        {
            BFloat16Vectors.Round(left, left, (long)m * k);
        }
    }

    /// <summary>Four right rows a work item.</summary>
    private readonly struct FewRowsBody<TKernel>(GemmProblem problem, float* left) : IParallelRange
        where TKernel : struct, IMicroKernel
    {
        private readonly GemmProblem _problem = problem;

        public void Run(long start, long end)
        {
            using Scratch buffer = Scratch.Rent(4 * DotBlock);
            float* sums = stackalloc float[4 * FewRows];         // [m, 4]
            float** right = stackalloc float*[4];
            (int m, long k) = ((int)_problem.M, _problem.First.Depth);
            for (long group = start; group < end; group++)
            {
                new Span<float>(sums, 4 * m).Clear();
                int count = (int)Math.Min(4, _problem.N - (group * 4));
                for (long p = 0; p < k; p += DotBlock)
                {
                    int length = (int)Math.Min(DotBlock, k - p);
                    Load(group * 4, count, p, length, right, buffer.Floats);
                    for (int i = 0; i < m;)
                    {
                        int rows = m - i >= 4 ? 4 : m - i >= 2 ? 2 : 1;
                        TKernel.Dots(rows, left + (i * k) + p, k, right, length, sums + (i * 4));
                        i += rows;
                    }
                }

                Store(sums, m, group * 4, count);
            }
        }

        private void Load(long first, int count, long p, int length, float** right, float* buffer)
        {
            for (int j = 0; j < 4; j++)
            {
                if (j >= count)
                {
                    right[j] = right[0];
                    continue;
                }

                right[j] = _problem.First.Right.Row(first + j, p, length, buffer + (j * DotBlock));
                if (_problem.Precision == Precision.BFloat16)
                {
                    BFloat16Vectors.Round(right[j], buffer + (j * DotBlock), length);
                    right[j] = buffer + (j * DotBlock);
                }
            }
        }

        private void Store(float* sums, int m, long first, int count)
        {
            for (int i = 0; i < m; i++)
            {
                _problem.Store(i, first, count, sums + (i * 4));
            }
        }
    }
}
