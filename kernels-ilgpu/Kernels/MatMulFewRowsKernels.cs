using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// y = alpha · x · Wᵀ of at most eight rows with a dense weight: a warp takes two rows of the weight and reads them 128 bits a thread; sums
/// are float32, nothing else is rounded.
/// </summary>
public static class MatMulFewRowsKernels
{
    /// <summary>Columns of y that a group makes.</summary>
    public const int GroupColumns = 2 * FewRows.Warps;

    /// <summary>A weight in bfloat16, one row.</summary>
    public static readonly Kernel<ProductArguments> BFloat16Rows1 = new(RunBFloat16<Rows1>, FewRows.Threads);

    /// <summary>A weight in bfloat16, up to eight rows.</summary>
    public static readonly Kernel<ProductArguments> BFloat16Rows8 = new(RunBFloat16<Rows8>, FewRows.Threads);

    /// <summary>A weight in float32, one row.</summary>
    public static readonly Kernel<ProductArguments> Float32Rows1 = new(RunFloat32<Rows1>, FewRows.Threads);

    /// <summary>A weight in float32, up to eight rows.</summary>
    public static readonly Kernel<ProductArguments> Float32Rows8 = new(RunFloat32<Rows8>, FewRows.Threads);

    private static void RunBFloat16<TRows>(ProductArguments arguments)
        where TRows : struct, IRowCount
    {
        int column = Column();
        int first = Clamped(arguments, column) * arguments.Eights;
        int second = Clamped(arguments, column + 1) * arguments.Eights;
        RowSums sums = default;
        for (int i = Group.IdxX & 31; i < arguments.Eights; i += 32)
        {
            Word4 a = arguments.Weight[first + i];
            Word4 b = arguments.Weight[second + i];
            sums = FewRows.MultiplyAdd<TRows>(sums, Widen(a), Widen(b), arguments.X, 2 * i, (2 * i) + 1, 2 * arguments.Eights, arguments.Rows);
        }

        Store<TRows>(arguments, sums, column);
    }

    /// <remarks>A thread's two fours are those of a whole warp apart, so that each access is of whole sectors.</remarks>
    private static void RunFloat32<TRows>(ProductArguments arguments)
        where TRows : struct, IRowCount
    {
        int column = Column();
        int fours = 2 * arguments.Eights;
        int first = Clamped(arguments, column) * fours;
        int second = Clamped(arguments, column + 1) * fours;
        RowSums sums = default;
        for (int i = Group.IdxX & 31; i < fours; i += 64)
        {
            bool both = i + 32 < fours;
            int next = both ? i + 32 : i;
            Float4 a = arguments.WeightFours[first + next];
            Float4 b = arguments.WeightFours[second + next];
            sums = FewRows.MultiplyAdd<TRows>(
                sums,
                new EightCodes(arguments.WeightFours[first + i], both ? a : default),
                new EightCodes(arguments.WeightFours[second + i], both ? b : default),
                arguments.X,
                i,
                next,
                fours,
                arguments.Rows);
        }

        Store<TRows>(arguments, sums, column);
    }

    /// <summary>The first of the warp's two columns of y.</summary>
    private static int Column() => (Grid.IdxX * GroupColumns) + (2 * (Group.IdxX >> 5));

    /// <summary>A column past the end repeats the last, and is not stored.</summary>
    private static int Clamped(ProductArguments arguments, int column) => column < arguments.Columns ? column : arguments.Columns - 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static EightCodes Widen(Word4 chunk) => new(
        new Float4(BFloat16Pair.Low(chunk.X), BFloat16Pair.High(chunk.X), BFloat16Pair.Low(chunk.Y), BFloat16Pair.High(chunk.Y)),
        new Float4(BFloat16Pair.Low(chunk.Z), BFloat16Pair.High(chunk.Z), BFloat16Pair.Low(chunk.W), BFloat16Pair.High(chunk.W)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TRows>(ProductArguments arguments, RowSums sums, int column)
        where TRows : struct, IRowCount
    {
        for (int row = 0; row < TRows.Count; row++)
        {
            SumPair own = FewRows.Select(sums, row);
            float first = WarpReduction.Sum(own.First);
            float second = WarpReduction.Sum(own.Second);
            int lane = Group.IdxX & 31;
            if (lane < 2 && row < arguments.Rows && column + lane < arguments.Columns)
            {
                ArrayView<float> y = arguments.Y;
                int at = (row * arguments.Columns) + column + lane;
                float value = arguments.Alpha * (lane == 0 ? first : second);
                y[at] = arguments.Accumulate != 0 ? y[at] + value : value;
            }
        }
    }

    /// <summary>What the products are given.</summary>
    /// <param name="X">[Rows, 2 · Eights], four numbers each.</param>
    /// <param name="Rows">1–8.</param>
    /// <param name="Eights">Numbers of a row by eight.</param>
    /// <param name="Weight">[Columns, Eights], eight bfloat16 numbers each; a stand-in for float32.</param>
    /// <param name="WeightFours">[Columns, 2 · Eights], four floats each; a stand-in for bfloat16.</param>
    /// <param name="Columns">Of y.</param>
    /// <param name="Alpha">Factor of the product.</param>
    /// <param name="Accumulate">Not 0: add to y.</param>
    /// <param name="Y">[Rows, Columns]</param>
    public readonly record struct ProductArguments(
        ArrayView<Float4> X, int Rows, int Eights, ArrayView<Word4> Weight, ArrayView<Float4> WeightFours, int Columns, float Alpha, int Accumulate, ArrayView<float> Y);
}
