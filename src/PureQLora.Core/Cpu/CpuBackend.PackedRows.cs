using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Weight rows that kernels over packed codes take at once.</summary>
    private const int PackedQuad = PackedKernelAssembler.Rows;

    /// <summary>Quads of a work item: long enough a piece of memory to be read as a stream, short enough to share out evenly.</summary>
    private const int PackedGrain = 8;

    /// <summary>Up to so many rows of x, exact products are taken from the codes; of more, it pays to convert the codes once for all.</summary>
    private const int PackedExactRows = 2;

    /// <summary>The same for products in bfloat16.</summary>
    private const int PackedBFloat16Rows = 48;

    /// <summary>c = x · wᵀ straight from the packed codes of a quantised weight, where tier, precision and weight allow it.</summary>
    private bool TryPackedProduct(in GemmProblem problem)
    {
        GemmTerm term = problem.First;
        if (!term.LeftIsInner || !term.RightIsInner || problem.Second.Depth > 0 || term.Right.Packed is not { } rows || problem.N < PackedQuad)
        {
            return false;
        }

        switch (problem.Precision)
        {
            case Precision.Int8 when _tier >= CpuTier.Avx512BFloat16 && Int8PackedKernels.Fits(rows):
                PackedProduct<Int8PackedKernels>(problem, rows);
                return true;
            case Precision.Int8:
                RoundedProduct(problem);
                return true;
            case Precision.BFloat16 when _tier >= CpuTier.Avx512BFloat16 && problem.M <= PackedBFloat16Rows && BFloat16PackedKernels.Fits(rows):
                PackedProduct<BFloat16PackedKernels>(problem, rows);
                return true;
            case Precision.Float32 when _tier >= CpuTier.Avx512 && problem.M <= PackedExactRows:
                return TryExactProduct(problem, rows);
            default:
                return false;
        }
    }

    private bool TryExactProduct(in GemmProblem problem, in PackedRows rows)
    {
        switch (rows.Bits)
        {
            case 2 when rows.HasWholeLanes:
                ExactProduct<TwoBits>(problem, rows);
                return true;
            case 3 when rows.HasWholeLanes:
                ExactProduct<ThreeBits>(problem, rows);
                return true;
            case 4 when rows.HasWholeLanes:
                ExactProduct<FourBits>(problem, rows);
                return true;
            case 8 when ByteDots512.Fits(rows):
                ExactByteProduct(problem, rows);
                return true;
            default:
                return false;
        }
    }

    private void ExactProduct<TCodes>(in GemmProblem problem, in PackedRows rows)
        where TCodes : struct, ICodeWidth
    {
        (int m, int k) = ((int)problem.M, rows.Columns);
        int length = rows.Blocks * BlockedVector.Length;
        using Scratch buffer = Scratch.Rent(k);
        using Scratch blocked = Scratch.Rent((long)m * length);
        for (int i = 0; i < m; i++)
        {
            BlockedVector.Arrange(problem.First.Left.Row(i, 0, k, buffer.Floats), k, rows.GroupSize, blocked.Floats + ((long)i * length));
        }

        ExactBody<TCodes> body = new(problem, rows, blocked.Floats, length);
        _pool.For((problem.N + PackedQuad - 1) / PackedQuad, PackedGrain, ref body);
    }

    private void ExactByteProduct(in GemmProblem problem, in PackedRows rows)
    {
        (int m, int k) = ((int)problem.M, rows.Columns);
        int length = (k + 15) & ~15;
        using Scratch buffer = Scratch.Rent(k);
        using Scratch padded = Scratch.Rent((long)m * length);
        for (int i = 0; i < m; i++)
        {
            Span<float> target = new(padded.Floats + ((long)i * length), length);
            target[k..].Clear();
            new ReadOnlySpan<float>(problem.First.Left.Row(i, 0, k, buffer.Floats), k).CopyTo(target);
        }

        ExactByteBody body = new(problem, rows, padded.Floats, length);
        _pool.For((problem.N + PackedQuad - 1) / PackedQuad, PackedGrain, ref body);
    }

    /// <summary>The product of x as <see cref="Int8Rounding"/> rounds it, for weights and tiers without a kernel of their own.</summary>
    private void RoundedProduct(in GemmProblem problem)
    {
        int k = (int)problem.First.Depth;
        using Scratch buffer = Scratch.Rent(k);
        using Scratch rounded = Scratch.Rent(problem.M * k);
        for (long i = 0; i < problem.M; i++)
        {
            Int8Rounding.Round(problem.First.Left.Row(i, 0, k, buffer.Floats), k, rounded.Floats + (i * k));
        }

        Gemm(problem with { Precision = Precision.Float32, First = problem.First with { Left = MatrixSource.Of(rounded.Floats, k) } });
    }

    private void PackedProduct<TKernels>(in GemmProblem problem, in PackedRows rows)
        where TKernels : struct, IPackedKernels
    {
        long chunkBytes = (long)rows.Blocks * TKernels.BlockBytes(IPackedKernels.MostRows);
        long chunks = (problem.M + IPackedKernels.MostRows - 1) / IPackedKernels.MostRows;

        // One spare vector, as kernels load whole ones at the end of the last block.
        using Scratch x = Scratch.Rent((chunks * chunkBytes / sizeof(float)) + Vector512<float>.Count);
        ArrangeBody<TKernels> arrange = new(problem, rows, (byte*)x.Floats, chunkBytes);
        _pool.For(chunks, RowGrain(IPackedKernels.MostRows * rows.Columns), ref arrange);
        PackedBody<TKernels> body = new(problem, rows, (byte*)x.Floats, chunkBytes);
        _pool.For((problem.N + PackedQuad - 1) / PackedQuad, PackedGrain, ref body);
    }

    /// <summary>First weight row of a quad: the last one of a weight may overlap the one before.</summary>
    private static long QuadRow(in GemmProblem problem, long quad) => Math.Min(PackedQuad * quad, problem.N - PackedQuad);

    /// <summary>Stores what a quad adds to those before it.</summary>
    private static void StoreQuad(in GemmProblem problem, long row, long quad, float* sums)
    {
        long first = PackedQuad * quad;
        if (problem is { ColumnStride: 1, Alpha: 1f, Accumulate: false })
        {
            // The overlap is stored again as it was.
            Vector128.Load(sums).Store(problem.C + (row * problem.RowStride) + QuadRow(problem, quad));
            return;
        }

        int skipped = (int)(first - QuadRow(problem, quad));
        problem.Store(row, first, PackedQuad - skipped, sums + skipped);
    }

    private readonly struct ExactBody<TCodes>(GemmProblem problem, PackedRows rows, float* blocked, int length) : IParallelRange
        where TCodes : struct, ICodeWidth
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            float* sums = stackalloc float[PackedQuad];
            for (long quad = start; quad < end; quad++)
            {
                for (int i = 0; i < _problem.M; i++)
                {
                    PackedDots512.Exact<TCodes>(_rows, QuadRow(_problem, quad), blocked + ((long)i * length)).Store(sums);
                    StoreQuad(_problem, i, quad, sums);
                }
            }
        }
    }

    private readonly struct ExactByteBody(GemmProblem problem, PackedRows rows, float* padded, int length) : IParallelRange
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            float* sums = stackalloc float[PackedQuad];
            for (long quad = start; quad < end; quad++)
            {
                for (int i = 0; i < _problem.M; i++)
                {
                    ByteDots512.Exact(_rows, QuadRow(_problem, quad), padded + ((long)i * length)).Store(sums);
                    StoreQuad(_problem, i, quad, sums);
                }
            }
        }
    }

    /// <summary>Rounds and arranges chunks of rows of x.</summary>
    private readonly struct ArrangeBody<TKernels>(GemmProblem problem, PackedRows rows, byte* x, long chunkBytes) : IParallelRange
        where TKernels : struct, IPackedKernels
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            int k = _rows.Columns;
            using Scratch buffer = Scratch.Rent((long)IPackedKernels.MostRows * k);
            for (long chunk = start; chunk < end; chunk++)
            {
                long first = chunk * IPackedKernels.MostRows;
                int count = (int)Math.Min(IPackedKernels.MostRows, _problem.M - first);
                for (int i = 0; i < count; i++)
                {
                    float* target = buffer.Floats + ((long)i * k);
                    float* row = _problem.First.Left.Row(first + i, 0, k, target);
                    if (row != target)
                    {
                        Buffer.MemoryCopy(row, target, k * sizeof(float), k * sizeof(float));
                    }
                }

                TKernels.Arrange(buffer.Floats, k, count, k, _rows.Bits, x + (chunk * chunkBytes));
            }
        }
    }

    /// <summary>One item is a few quads of weight rows: all rows of x, chunk by chunk, meet them while they are in the cache.</summary>
    private readonly struct PackedBody<TKernels>(GemmProblem problem, PackedRows rows, byte* x, long chunkBytes) : IParallelRange
        where TKernels : struct, IPackedKernels
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            long quadFactors = _rows.FactorsLength;
            using Scratch factors = Scratch.Rent((end - start) * quadFactors);
            using Scratch partial = Scratch.Rent(TKernels.SumsLength(IPackedKernels.MostRows));
            float* sums = stackalloc float[IPackedKernels.MostRows * PackedQuad];
            PackedArguments arguments = new() { RowBytes = _rows.RowBytes, Blocks = _rows.Blocks, Sums = partial.Floats };
            for (int i = 0; i < Vector512<float>.Count; i++)
            {
                arguments.Values[i] = i & ((1 << _rows.Bits) - 1);
            }

            for (long quad = start; quad < end; quad++)
            {
                _rows.CopyFactors(QuadRow(_problem, quad), factors.Floats + ((quad - start) * quadFactors));
            }

            for (long first = 0; first < _problem.M; first += IPackedKernels.MostRows)
            {
                int count = (int)Math.Min(IPackedKernels.MostRows, _problem.M - first);
                for (long quad = start; quad < end; quad++)
                {
                    arguments.Codes = _rows.Codes + (QuadRow(_problem, quad) * _rows.RowBytes);
                    arguments.Factors = factors.Floats + ((quad - start) * quadFactors);
                    arguments.X = x + (first / IPackedKernels.MostRows * chunkBytes);
                    TKernels.Run(count, _rows.Bits, &arguments, sums);
                    for (int i = 0; i < count; i++)
                    {
                        StoreQuad(_problem, first + i, quad, sums + (PackedQuad * i));
                    }
                }
            }
        }
    }
}
