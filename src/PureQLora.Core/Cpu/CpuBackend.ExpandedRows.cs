using System.Runtime.Intrinsics;

namespace PureQLora.Core;

public sealed unsafe partial class CpuBackend
{
    /// <summary>
    /// Blocks of 128 columns that are expanded at once: with those of eight rows in it, the L1 cache has room for the rows of x that
    /// pass by. Measured.
    /// </summary>
    private const int ExpandedBlocks = 8;

    /// <summary>Groups of eight weight rows in a work item at most: their scales and zero points, read ahead of it, stay in the L2 cache. Measured.</summary>
    private const int ExpandedGrain = 64;

    /// <summary>
    /// c = x · wᵀ of operands rounded to bfloat16 for a batch of rows of x: eight rows of the weight are expanded into the L1 cache and
    /// meet all rows of x there, so that a code is looked up once however many rows there are.
    /// </summary>
    private bool TryExpandedProduct<TRows>(in GemmProblem problem, in TRows rows)
        where TRows : unmanaged, IExpandedRows
    {
        if (problem.N < RowTileKernels.Rows)
        {
            return false;
        }

        int blocks = (int)((problem.First.Depth + PackedRows.Block - 1) / PackedRows.Block);
        using Scratch x = Scratch.Rent(problem.M * blocks * RowTileKernels.BlockBytes(1) / sizeof(float));
        ExpandedArrangeBody<TRows> arrange = new(problem, rows, (byte*)x.Floats, blocks);
        _pool.For(new ExpandedPasses(problem.M).Count, 1, ref arrange);
        ExpandedBody<TRows> body = new(problem, rows, (byte*)x.Floats, blocks);
        long groups = (problem.N + RowTileKernels.Rows - 1) / RowTileKernels.Rows;
        _pool.For(groups, Math.Clamp(groups / (PackedItemsPerThread * (long)_pool.Threads), 1, ExpandedGrain), ref body);
        return true;
    }

    /// <summary>Rounds and arranges the rows of x for each run of a kernel.</summary>
    private readonly struct ExpandedArrangeBody<TRows>(GemmProblem problem, TRows rows, byte* x, int blocks) : IParallelRange
        where TRows : unmanaged, IExpandedRows
    {
        private readonly GemmProblem _problem = problem;
        private readonly TRows _rows = rows;

        public void Run(long start, long end)
        {
            int k = (int)_problem.First.Depth;
            bool direct = _problem.First.Left.IsDirect;
            using Scratch buffer = Scratch.Rent(direct ? 0 : (long)RowTileKernels.MostRows * k);
            ExpandedPasses passes = new(_problem.M);
            for (int pass = (int)start; pass < end; pass++)
            {
                (long first, int count) = passes[pass];
                float* left = direct ? _problem.First.Left.Row(first, 0, k, null) : buffer.Floats;
                if (!direct)
                {
                    CopyRows(_problem.First.Left, first, count, k, left);
                }

                _rows.Arrange(left, count, k, x + (first * blocks * RowTileKernels.BlockBytes(1)));
            }
        }
    }

    /// <summary>
    /// One item is some groups of eight weight rows. A group that would reach beyond the last row begins before it, and stores only
    /// what no other group does.
    /// </summary>
    private readonly struct ExpandedBody<TRows>(GemmProblem problem, TRows rows, byte* x, int blocks) : IParallelRange
        where TRows : unmanaged, IExpandedRows
    {
        private const int Group = RowTileKernels.Rows;
        private const int Lanes = 16;

        private readonly GemmProblem _problem = problem;
        private readonly TRows _rows = rows;

        private int MostBlocks => Math.Min(blocks, ExpandedBlocks);

        /// <summary>Pieces of the columns of a group that are expanded one after the other.</summary>
        private int Pieces => (blocks + MostBlocks - 1) / MostBlocks;

        public void Run(long start, long end)
        {
            long firstRow = Math.Min(start * Group, _problem.N - Group);
            long itemRows = Math.Min(end * Group, _problem.N) - firstRow;
            long pieceBytes = (long)MostBlocks * RowTileKernels.BlockBytes(Group);
            using Scratch weights = Scratch.Rent(2 * pieceBytes / sizeof(float));
            using Scratch sums = Scratch.Rent(_problem.M * Group * Lanes);
            using Scratch buffer = Scratch.Rent(_rows.BufferLength(itemRows, MostBlocks));
            using Scratch memory = Scratch.Rent(sizeof(RowTileArguments) / sizeof(float));
            RowTileArguments* arguments = (RowTileArguments*)memory.Floats;
            _rows.Prepare(firstRow, itemRows, buffer.Floats, arguments);
            bool isExpanded = false;
            for (long number = start * Pieces; number < end * Pieces; number++)
            {
                ExpandedPiece piece = Piece(number, firstRow);
                byte* current = (byte*)weights.Floats + ((number & 1) * pieceBytes);
                if (!isExpanded)
                {
                    _rows.Expand(piece, current, buffer.Floats, arguments);
                }

                // The next piece is expanded beside the products of this one, where they are of a size.
                ExpandedPiece next = number + 1 < end * Pieces ? Piece(number + 1, firstRow) : default;
                isExpanded = _rows.Coding > 0 && next.Blocks == piece.Blocks;
                arguments->Weights = current;
                byte* other = (byte*)weights.Floats + ((~number & 1) * pieceBytes);
                Multiply(piece, isExpanded ? next : default, other, sums.Floats, buffer.Floats, arguments);
                if (piece.Block + piece.Blocks == blocks)
                {
                    Store(piece.Row, (int)((number / Pieces * Group) - piece.Row), sums.Floats);
                }
            }
        }

        private ExpandedPiece Piece(long number, long firstRow)
        {
            (long group, long part) = Math.DivRem(number, Pieces);
            long row = Math.Min(group * Group, _problem.N - Group);
            int block = (int)part * MostBlocks;
            int count = Math.Min(MostBlocks, blocks - block);
            long ahead = block + count < blocks ? (long)count * PackedRows.Block : (Group * _problem.First.Depth) - ((long)block * PackedRows.Block);
            return new ExpandedPiece(row, row - firstRow, block, count, ahead);
        }

        /// <summary>Adds the products of the expanded columns with all rows of x, and expands the next ones, some rows in each pass.</summary>
        private void Multiply(in ExpandedPiece piece, in ExpandedPiece next, byte* target, float* sums, float* buffer, RowTileArguments* arguments)
        {
            ExpandedPasses passes = new(_problem.M);
            int perPass = next.Blocks == 0 ? 0 : (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)((Group + passes.Count - 1) / passes.Count));
            int expanded = perPass == 0 ? Group : 0;
            arguments->Sums = sums;
            arguments->Blocks = piece.Blocks;
            for (int pass = 0; pass < passes.Count;)
            {
                // Passes of as many rows of x, all of which expand or none.
                (long first, int count) = passes[pass];
                int same = passes.OfSame(pass);
                bool expands = expanded < Group;
                if (expands)
                {
                    same = Math.Min(same, (Group - expanded) / perPass);
                    _rows.Locate(next, expanded, perPass, target, buffer, arguments);
                    expanded += same * perPass;
                }

                arguments->X = x + (((first * blocks) + (piece.Block * count)) * RowTileKernels.BlockBytes(1));
                arguments->XStep = (long)blocks * RowTileKernels.BlockBytes(count);
                arguments->Passes = same;
                RowTileKernels.Run(count, goesOn: piece.Block > 0, _rows.Coding, expands ? perPass : 0, arguments);
                pass += same;
            }
        }

        /// <summary>Stores the sums of eight weight rows but the first few.</summary>
        private void Store(long row, int skipped, float* sums)
        {
            for (long i = 0; i < _problem.M; i++, sums += Group * Lanes)
            {
                Vector256<float> values = Vector256.Create(LaneSums.Of4(sums), LaneSums.Of4(sums + (4 * Lanes)));
                if (skipped == 0 && _problem.ColumnStride == 1)
                {
                    float* c = _problem.C + (i * _problem.RowStride) + row;
                    values *= _problem.Alpha;
                    (_problem.Accumulate ? Vector256.Load(c) + values : values).Store(c);
                    continue;
                }

                values.Store(sums);
                _problem.Store(i, row + skipped, Group - skipped, sums + skipped);
            }
        }
    }
}
