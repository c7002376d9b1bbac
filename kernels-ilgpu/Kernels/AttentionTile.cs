using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// What the products of an attention share: a group of four warps keeps 64 rows of one side (queries, or keys) in registers, 16 a warp, and
/// goes through the other side in tiles of 32 rows. Weights [16, 32] of a warp are made in registers and multiply the tile again.
/// </summary>
/// <remarks>
/// A chunk's place in shared memory depends on its row, so that the eight rows that ldmatrix reads at once lie in different banks. The places
/// that a thread reads differ from its first one in some bits, which are the same for all threads: one exclusive or each, and one register.
/// </remarks>
public static class AttentionTile
{
    /// <summary>Rows that a group keeps.</summary>
    public const int LeftRows = 64;

    /// <summary>Rows of a tile of the other side.</summary>
    public const int RightRows = 32;

    /// <summary>Tiles of the other side in shared memory: one is multiplied while the next is on its way.</summary>
    public const int Stages = 2;

    /// <summary>Threads of a group.</summary>
    public const int Threads = 128;

    /// <summary>Starts copying rows that lie one after another; all threads call together.</summary>
    /// <param name="tile">Shared.</param>
    /// <param name="start">Where the rows start in it.</param>
    /// <param name="source">Rows of whole heads.</param>
    /// <param name="firstRow">Of the source.</param>
    /// <param name="rows">A multiple of 16.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Issue<THead>(ArrayView<Word4> tile, int start, ArrayView<Word4> source, int firstRow, int rows)
        where THead : struct, IHeadSize
    {
        for (int i = Group.IdxX; i < rows << THead.ChunkShift; i += Threads)
        {
            int row = i >> THead.ChunkShift;
            AsyncCopy.Issue(tile, start + Place<THead>(row, i - (row << THead.ChunkShift)), source, (firstRow << THead.ChunkShift) + i);
        }
    }

    /// <summary>The warp's 16 of 64 rows in shared memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HeadOperand Load<THead>(ArrayView<Word4> tile)
        where THead : struct, IHeadSize
    {
        int lane = Group.IdxX & 31;
        int place = Place<THead>(((Group.IdxX >> 5) * 16) + (lane & 15), lane >> 4);
        Word4 step0 = TensorCore.LoadMatrices(tile, place);
        Word4 step1 = TensorCore.LoadMatrices(tile, place ^ 2);
        Word4 step2 = TensorCore.LoadMatrices(tile, place ^ 4);
        Word4 step3 = TensorCore.LoadMatrices(tile, place ^ 6);
        Word4 step4 = default;
        Word4 step5 = default;
        Word4 step6 = default;
        Word4 step7 = default;
        if (THead.Size > 64)
        {
            step4 = TensorCore.LoadMatrices(tile, place ^ 8);
            step5 = TensorCore.LoadMatrices(tile, place ^ 10);
            step6 = TensorCore.LoadMatrices(tile, place ^ 12);
            step7 = TensorCore.LoadMatrices(tile, place ^ 14);
        }

        return new HeadOperand(step0, step1, step2, step3, step4, step5, step6, step7);
    }

    /// <summary>The warp's rows times the transpose of a tile: [16, 32].</summary>
    /// <param name="left">The warp's rows.</param>
    /// <param name="right">Shared.</param>
    /// <param name="start">Where the tile starts in it: a multiple of a tile.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static RowAccumulators Scores<THead>(HeadOperand left, ArrayView<Word4> right, int start)
        where THead : struct, IHeadSize
    {
        int lane = Group.IdxX & 31;
        int place = start + Place<THead>((lane & 7) + ((lane >> 4) << 3), (lane >> 3) & 1);
        RowAccumulators sums = default;
        sums = AddStep<THead>(sums, left.Step0, right, place, 0);
        sums = AddStep<THead>(sums, left.Step1, right, place, 1);
        sums = AddStep<THead>(sums, left.Step2, right, place, 2);
        sums = AddStep<THead>(sums, left.Step3, right, place, 3);
        if (THead.Size > 64)
        {
            sums = AddStep<THead>(sums, left.Step4, right, place, 4);
            sums = AddStep<THead>(sums, left.Step5, right, place, 5);
            sums = AddStep<THead>(sums, left.Step6, right, place, 6);
            sums = AddStep<THead>(sums, left.Step7, right, place, 7);
        }

        return sums;
    }

    /// <summary>sums + weights · tile.</summary>
    /// <param name="sums">[16, head]</param>
    /// <param name="weights">[16, 32] of the warp, which are rounded to bfloat16.</param>
    /// <param name="right">Shared.</param>
    /// <param name="start">Where the tile starts in it: a multiple of a tile.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HeadAccumulators Combine<THead>(HeadAccumulators sums, RowAccumulators weights, ArrayView<Word4> right, int start)
        where THead : struct, IHeadSize
    {
        int place = start + Place<THead>(Group.IdxX & 15, (Group.IdxX & 31) >> 4);

        // The accumulators of two products of eight columns are laid out as one operand of 16.
        Word4 first = Round(weights.Columns0, weights.Columns1);
        Word4 last = Round(weights.Columns2, weights.Columns3);
        RowAccumulators part0 = AddPart<THead>(sums.Part0, first, last, right, place, 0);
        RowAccumulators part1 = AddPart<THead>(sums.Part1, first, last, right, place, 1);
        RowAccumulators part2 = sums.Part2;
        RowAccumulators part3 = sums.Part3;
        if (THead.Size > 64)
        {
            part2 = AddPart<THead>(part2, first, last, right, place, 2);
            part3 = AddPart<THead>(part3, first, last, right, place, 3);
        }

        return new HeadAccumulators(part0, part1, part2, part3);
    }

    /// <summary>Every row times its factor: the thread's upper row, and the one 8 further.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static HeadAccumulators Multiply(HeadAccumulators sums, float upper, float lower) => new(
        Multiply(sums.Part0, upper, lower), Multiply(sums.Part1, upper, lower), Multiply(sums.Part2, upper, lower), Multiply(sums.Part3, upper, lower));

    /// <summary>The thread's upper row of the 64; the lower one is 8 further.</summary>
    public static int UpperRow() => ((Group.IdxX >> 5) * 16) + ((Group.IdxX & 31) >> 2);

    /// <summary>The thread's first column: its columns are this one, 8, 16, 24 further, and the next of each.</summary>
    public static int FirstColumn() => 2 * (Group.IdxX & 3);

    private static int Place<THead>(int row, int chunk)
        where THead : struct, IHeadSize => (row << THead.ChunkShift) + (chunk ^ (row & 7));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static RowAccumulators AddStep<THead>(RowAccumulators sums, Word4 left, ArrayView<Word4> right, int place, int step)
        where THead : struct, IHeadSize => GemmTile.MultiplyAdd(
            sums,
            left,
            TensorCore.LoadMatrices(right, place ^ (2 * step)),
            TensorCore.LoadMatrices(right, place ^ ((16 << THead.ChunkShift) + (2 * step))));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static RowAccumulators AddPart<THead>(RowAccumulators sums, Word4 first, Word4 last, ArrayView<Word4> right, int place, int part)
        where THead : struct, IHeadSize
    {
        int chunk = 4 * part;
        int below = (16 << THead.ChunkShift) + chunk;
        sums = GemmTile.MultiplyAdd(
            sums, first, TensorCore.LoadMatricesTransposed(right, place ^ chunk), TensorCore.LoadMatricesTransposed(right, place ^ (chunk + 2)));
        return GemmTile.MultiplyAdd(
            sums, last, TensorCore.LoadMatricesTransposed(right, place ^ below), TensorCore.LoadMatricesTransposed(right, place ^ (below + 2)));
    }

    private static Word4 Round(Float4 low, Float4 high) => new(
        BFloat16Pair.Pack(low.X, low.Y), BFloat16Pair.Pack(low.Z, low.W), BFloat16Pair.Pack(high.X, high.Y), BFloat16Pair.Pack(high.Z, high.W));

    private static RowAccumulators Multiply(RowAccumulators sums, float upper, float lower) => new(
        Multiply(sums.Columns0, upper, lower), Multiply(sums.Columns1, upper, lower), Multiply(sums.Columns2, upper, lower), Multiply(sums.Columns3, upper, lower));

    private static Float4 Multiply(Float4 sums, float upper, float lower) => new(sums.X * upper, sums.Y * upper, sums.Z * lower, sums.W * lower);
}
