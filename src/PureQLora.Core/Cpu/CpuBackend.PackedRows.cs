using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Weight rows that kernels over packed codes take at once.</summary>
    private const int PackedQuad = PackedKernelAssembler.Rows;

    /// <summary>Work items come by so many for each thread, so that one that is held up leaves its rest to others.</summary>
    private const int PackedItemsPerThread = 4;

    /// <summary>Bytes of weight in a work item at most: they stay in the L2 cache while all rows of x meet them.</summary>
    private const int PackedItemBytes = 512 << 10;

    /// <summary>Quads of a work item at least, where there are so many.</summary>
    private const int ShortestPackedItem = 16;

    /// <summary>Up to so many rows of x, exact products are taken from the codes; of more, it pays to convert the codes once for all.</summary>
    private const int PackedExactRows = 2;

    /// <summary>
    /// The same for products in bfloat16 by <c>vdpbf16ps</c>. Measured on Zen 5, 2048 × 2048 in 4 bits: 0.68 ms against 0.82–0.89 of panels
    /// at 48 rows; at 96 rows of 5632 columns panels win.
    /// </summary>
    private const int PackedBFloat16Rows = 48;

    /// <summary>
    /// Up to so many rows codes are looked up in registers, again for every four rows: the fewer, the more it is worth not to write values
    /// anywhere. Measured likewise: 0.17 ms against 0.18 at 8 rows, 0.32 against 0.27 at 16.
    /// </summary>
    private const int PackedLookUpRows = 8;

    /// <summary>As <see cref="PackedBFloat16Rows"/>, where AMX has panels of its own to win with.</summary>
    private const int PackedTileRows = 32;

    /// <summary>c = x · wᵀ straight from the packed codes of a quantised weight, where tier, precision and weight allow it.</summary>
    private bool TryPackedProduct(in GemmProblem problem)
    {
        GemmTerm term = problem.First;
        if (!term.LeftIsInner || !term.RightIsInner || problem.Second.Depth > 0 || term.Right.Packed is not { } rows)
        {
            return false;
        }

        bool hasQuad = HasQuads(problem);
        switch (problem.Precision)
        {
            case Precision.Int8 when hasQuad && _tier >= CpuTier.Avx512BFloat16 && Int8PackedKernels.Fits(rows):
                PackedProduct<Int8PackedKernels>(problem, rows);
                return true;
            case Precision.Int8:
                Int8Product(problem);
                return true;
            case Precision.BFloat16 when _tier == CpuTier.Avx512BFloat16 && problem.M <= PackedBFloat16Rows:
                return TryRoundedProduct(problem, rows);
            case Precision.BFloat16 when hasQuad && _tier == CpuTier.Amx && problem.M <= (rows.HasWholeBlocks ? PackedTileRows : FewPairRows) && BFloat16PackedKernels.Fits(rows):
                PackedProduct<BFloat16PackedKernels>(problem, rows);
                return true;
            case Precision.Float32 when hasQuad && _tier >= CpuTier.Avx512 && problem.M <= PackedExactRows:
                return TryExactProduct(problem, rows);
            default:
                return false;
        }
    }

    /// <summary>The product of operands rounded to bfloat16; a row of x gets the same bits whatever the number of rows.</summary>
    private bool TryRoundedProduct(in GemmProblem problem, in PackedRows rows)
    {
        int most = BFloat16PackedKernels.MostRows(rows);
        if (problem.M <= (most < IPackedKernels.MostRows ? most : PackedLookUpRows) && BFloat16PackedKernels.Fits(rows) && HasQuads(problem))
        {
            PackedProduct<BFloat16PackedKernels>(problem, rows);
            return true;
        }

        int parts = CodeExpansion.PartsOf(rows);
        return parts > 0
            ? TryExpandedProduct(problem, new ExpandedCodes(rows, parts))
            : problem.M > FewPairRows && TryExpandedProduct(problem, new ExpandedFloats(problem.First.Right, rows.Columns));
    }

    private static long PackedQuads(long rows) => (rows + PackedQuad - 1) / PackedQuad;

    /// <summary>
    /// Whether kernels that take four weight rows at once may be used. A rest of fewer rows is computed together with rows before it,
    /// which must not be added twice.
    /// </summary>
    private static bool HasQuads(in GemmProblem problem) => problem.N >= PackedQuad && (!problem.Accumulate || problem.N % PackedQuad == 0);

    /// <summary>
    /// Quads of a work item. The rows of a quad are spread over its item, so that a kernel reads four streams, each of whole rows one
    /// behind the other: four neighbouring rows would be four short pieces of one page, which processors do not foresee. Streams cost
    /// at their start, so items are long; they may follow the number of threads, as every row is summed by itself. Measured.
    /// </summary>
    private long PackedGrain(long rows, long rowBytes)
    {
        long round = (long)PackedItemsPerThread * _pool.Threads;
        long items = ((rows * rowBytes / PackedItemBytes / round) + 1) * round;
        return Math.Max(ShortestPackedItem, (PackedQuads(rows) + items - 1) / items);
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
            case 4 when rows.HasWholeLanes && rows.HasBook:
                ExactProduct<FourBitLevels>(problem, rows);
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
        _pool.For(PackedQuads(problem.N), PackedGrain(problem.N, rows.RowBytes), ref body);
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
        _pool.For(PackedQuads(problem.N), PackedGrain(problem.N, rows.RowBytes), ref body);
    }

    /// <summary>The product of x as <see cref="Int8Rounding"/> rounds it, for weights and tiers without a kernel of their own.</summary>
    private void Int8Product(in GemmProblem problem)
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
        _pool.For(chunks, 1, ref arrange);
        PackedBody<TKernels> body = new(problem, rows, (byte*)x.Floats, chunkBytes);
        _pool.For(PackedQuads(problem.N), PackedGrain(problem.N, rows.RowBytes), ref body);
    }

    /// <summary>Some rows as floats, one behind the other.</summary>
    private static void CopyRows(in MatrixSource source, long first, int count, int k, float* target)
    {
        for (int i = 0; i < count; i++, target += k)
        {
            float* row = source.Row(first + i, 0, k, target);
            if (row != target)
            {
                Buffer.MemoryCopy(row, target, k * sizeof(float), k * sizeof(float));
            }
        }
    }

    private readonly struct ExactBody<TCodes>(GemmProblem problem, PackedRows rows, float* blocked, int length) : IParallelRange
        where TCodes : struct, ICodeWidth
    {
        private readonly GemmProblem _problem = problem;
        private readonly PackedRows _rows = rows;

        public void Run(long start, long end)
        {
            RowQuads quads = new(start, end, _problem.N);
            for (int quad = 0; quad < quads.Count; quad++)
            {
                (long row, long step) = quads[quad];
                for (int i = 0; i < _problem.M; i++)
                {
                    _problem.StoreQuad(i, row, step, PackedDots512.Exact<TCodes>(_rows, row, step, blocked + ((long)i * length)));
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
            RowQuads quads = new(start, end, _problem.N);
            for (int quad = 0; quad < quads.Count; quad++)
            {
                (long row, long step) = quads[quad];
                for (int i = 0; i < _problem.M; i++)
                {
                    _problem.StoreQuad(i, row, step, ByteDots512.Exact(_rows, row, step, padded + ((long)i * length)));
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
                CopyRows(_problem.First.Left, first, count, k, buffer.Floats);
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
            RowQuads quads = new(start, end, _problem.N);

            // Further chunks of x find the factors of all quads; a single one needs those of its quad only.
            long quadFactors = _problem.M > IPackedKernels.MostRows ? _rows.FactorsLength : 0;
            using Scratch factors = Scratch.Rent(Math.Max(quads.Count * quadFactors, _rows.FactorsLength));
            using Scratch products = Scratch.Rent((long)Vector512<float>.Count * _rows.Blocks);
            using Scratch partial = Scratch.Rent(TKernels.SumsLength(IPackedKernels.MostRows));
            float* sums = stackalloc float[IPackedKernels.MostRows * PackedQuad];
            using Scratch memory = Scratch.Rent((sizeof(PackedArguments) + sizeof(float) - 1) / sizeof(float));
            PackedArguments* arguments = (PackedArguments*)memory.Floats;
            *arguments = new() { Blocks = _rows.Blocks, Parts = _rows.Parts, Products = products.Floats, Sums = partial.Floats };
            arguments->Constants.Set(_rows.Levels, _rows.Parts);

            for (long first = 0; first < _problem.M; first += IPackedKernels.MostRows)
            {
                int count = (int)Math.Min(IPackedKernels.MostRows, _problem.M - first);
                arguments->X = x + (first / IPackedKernels.MostRows * chunkBytes);
                for (int quad = 0; quad < quads.Count; quad++)
                {
                    (long row, long step) = quads[quad];
                    arguments->Factors = factors.Floats + (quad * quadFactors);
                    if (first == 0)
                    {
                        _rows.CopyFactors(row, step, arguments->Factors);
                    }

                    arguments->Codes = _rows.Codes + (row * _rows.RowBytes);
                    arguments->RowBytes = step * _rows.RowBytes;
                    TKernels.Run(count, _rows.Bits, arguments, sums);
                    for (int i = 0; i < count; i++)
                    {
                        _problem.StoreQuad(first + i, row, step, Vector128.Load(sums + (PackedQuad * i)));
                    }
                }
            }
        }
    }
}
