namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Up to so many rows are multiplied with the codes themselves; from there on it pays to convert the codes once for all rows.</summary>
    private const int PackedExactRows = 2;

    /// <summary>Weight rows of a work item: long enough a piece of memory to be read as a stream, short enough to share out evenly.</summary>
    private const int PackedGrain = 32;

    /// <summary>c = a · bᵀ for few rows and a quantised weight, without converting it, where this tier can.</summary>
    private bool TryPackedProduct(in GemmProblem problem)
    {
        if (problem.TransposeA || problem.B.Packed is not { } rows || _tier < CpuTier.Avx512)
        {
            return false;
        }

        if (problem.RoundsOperands || problem.M > PackedExactRows)
        {
            return false;
        }

        switch (rows.Bits)
        {
            case 4 when rows.HasWholeLanes:
                PackedExact<FourBits>(problem, rows);
                return true;
            case 3 when rows.HasWholeLanes:
                PackedExact<ThreeBits>(problem, rows);
                return true;
            case 2 when rows.HasWholeLanes:
                PackedExact<TwoBits>(problem, rows);
                return true;
            case 8 when ByteDots512.Fits(rows):
                ByteExact(problem, rows);
                return true;
            default:
                return false;
        }
    }

    private void PackedExact<TCodes>(in GemmProblem problem, in PackedRows rows)
        where TCodes : struct, ICodeWidth
    {
        (int m, int k) = ((int)problem.M, rows.Columns);
        int length = BlockedVector.Blocks(k) * BlockedVector.Length;
        using Scratch buffer = Scratch.Rent(k);
        using Scratch blocked = Scratch.Rent((long)m * length);
        for (int i = 0; i < m; i++)
        {
            BlockedVector.Arrange(problem.A.Row(i, 0, k, buffer.Floats), k, rows.GroupSize, blocked.Floats + ((long)i * length));
        }

        PackedExactBody<TCodes> body = new(problem, rows, blocked.Floats, length);
        _pool.For((problem.N + 3) / 4, PackedGrain / 4, ref body);
    }

    private void ByteExact(in GemmProblem problem, in PackedRows rows)
    {
        (int m, int k) = ((int)problem.M, rows.Columns);
        int length = (k + 15) & ~15;
        using Scratch buffer = Scratch.Rent(k);
        using Scratch padded = Scratch.Rent((long)m * length);
        for (int i = 0; i < m; i++)
        {
            Span<float> target = new(padded.Floats + ((long)i * length), length);
            target[k..].Clear();
            new ReadOnlySpan<float>(problem.A.Row(i, 0, k, buffer.Floats), k).CopyTo(target);
        }

        ByteExactBody body = new(problem, rows, padded.Floats, length);
        _pool.For((problem.N + 3) / 4, PackedGrain / 4, ref body);
    }

    /// <summary>Four weight rows an item.</summary>
    private readonly struct PackedExactBody<TCodes>(GemmProblem problem, PackedRows rows, float* blocked, int length) : IParallelRange
        where TCodes : struct, ICodeWidth
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            float* sums = stackalloc float[4];
            for (long item = start; item < end; item++)
            {
                int count = (int)Math.Min(4, _problem.N - (4 * item));
                for (int i = 0; i < _problem.M; i++)
                {
                    PackedDots512.Exact<TCodes>(_rows, 4 * item, count, blocked + ((long)i * length), sums);
                    _problem.Store(i, 4 * item, count, sums);
                }
            }
        }
    }

    /// <summary>Four weight rows an item.</summary>
    private readonly struct ByteExactBody(GemmProblem problem, PackedRows rows, float* padded, int length) : IParallelRange
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            float* sums = stackalloc float[4];
            for (long item = start; item < end; item++)
            {
                int count = (int)Math.Min(4, _problem.N - (4 * item));
                for (int i = 0; i < _problem.M; i++)
                {
                    ByteDots512.Exact(_rows, 4 * item, count, padded + ((long)i * length), sums);
                    _problem.Store(i, 4 * item, count, sums);
                }
            }
        }
    }
}
