using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Products of dense matrices.</summary>
public static class MatMulKernels
{
    /// <summary>Rows and columns of a group's tile of a float32 product.</summary>
    public const int FloatTile = 64;

    /// <summary>y = left · rightᵀ of bfloat16 operands on tensor cores; two steps are on their way while one is multiplied.</summary>
    public static readonly Kernel<BFloat16Arguments> BFloat16 = new(RunBFloat16, GemmTile.Threads, minGroups: 2);

    /// <summary>y = left · right in float32 throughout, operands in any layout; a thread makes 4 × 4 elements.</summary>
    public static readonly Kernel<Float32Arguments> Float32 = new(RunFloat32, groupSize: 256);

    private const int Stages = 3;
    private const int FloatDepth = 16;

    private static void RunBFloat16(BFloat16Arguments arguments)
    {
        ArrayView<Word4> left = SharedMemory.Allocate<Word4>(Stages * GemmTile.Chunks);
        ArrayView<Word4> right = SharedMemory.Allocate<Word4>(Stages * GemmTile.Chunks);
        int row = Grid.IdxY * GemmTile.Size;
        int column = Grid.IdxX * GemmTile.Size;
        Issue(arguments, left, right, 0, row, column, 0);
        Issue(arguments, left, right, GemmTile.Chunks, row, column, 1);
        Accumulators sums = default;
        int stage = 0;
        for (int step = 0; step < arguments.Steps; step++)
        {
            AsyncCopy.Wait(1);
            Group.Barrier();
            int free = stage == 0 ? Stages - 1 : stage - 1;
            Issue(arguments, left, right, free * GemmTile.Chunks, row, column, step + 2);
            sums = GemmTile.MultiplyAdd(sums, left, stage * GemmTile.Chunks, right, stage * GemmTile.Chunks);
            stage = stage == Stages - 1 ? 0 : stage + 1;
        }

        arguments.Result.Store(sums, row, column);
    }

    /// <summary>Starts copying a step, if there is one; a group of copies in any case, so that waiting counts them alike.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Issue(
        BFloat16Arguments arguments, ArrayView<Word4> left, ArrayView<Word4> right, int start, int row, int column, int step)
    {
        if (step < arguments.Steps)
        {
            GemmTile.Issue(left, start, arguments.Left, arguments.Pitch, row, arguments.Result.Rows, step);
            GemmTile.Issue(right, start, arguments.Right, arguments.Pitch, column, arguments.Result.Columns, step);
        }

        AsyncCopy.Commit();
    }

    private static void RunFloat32(Float32Arguments arguments)
    {
        ArrayView<Float4> left = SharedMemory.Allocate<Float4>(FloatDepth * FloatTile / 4);
        ArrayView<Float4> right = SharedMemory.Allocate<Float4>(FloatDepth * FloatTile / 4);
        int row = Grid.IdxY * FloatTile;
        int column = Grid.IdxX * FloatTile;
        int four = Group.IdxX & 15;
        int depth = Group.IdxX >> 4;
        Float4 sums0 = default;
        Float4 sums1 = default;
        Float4 sums2 = default;
        Float4 sums3 = default;
        for (int start = 0; start < arguments.Inner; start += FloatDepth)
        {
            left[(depth * 16) + four] = Four(arguments.Left, arguments.Inner, row + (4 * four), start + depth);
            right[(depth * 16) + four] = Four(arguments.Right, arguments.Inner, column + (4 * four), start + depth);
            Group.Barrier();
            for (int k = 0; k < FloatDepth; k++)
            {
                Float4 a = left[(k * 16) + depth];
                Float4 b = right[(k * 16) + four];
                sums0 = MultiplyAdd(sums0, a.X, b);
                sums1 = MultiplyAdd(sums1, a.Y, b);
                sums2 = MultiplyAdd(sums2, a.Z, b);
                sums3 = MultiplyAdd(sums3, a.W, b);
            }

            Group.Barrier();
        }

        row += 4 * depth;
        column += 4 * four;
        arguments.Result.Store(sums0, row, column);
        arguments.Result.Store(sums1, row + 1, column);
        arguments.Result.Store(sums2, row + 2, column);
        arguments.Result.Store(sums3, row + 3, column);
    }

    /// <summary>Elements index … index + 3 along the outer dimension at one place along the inner one; 0 past either end.</summary>
    private static Float4 Four(FloatOperand operand, int inner, int index, int at) => new(
        One(operand, inner, index, at), One(operand, inner, index + 1, at), One(operand, inner, index + 2, at), One(operand, inner, index + 3, at));

    private static float One(FloatOperand operand, int inner, int index, int at)
    {
        float value = 0f;
        if (index < operand.Outer && at < inner)
        {
            value = operand.Values.Read((index * operand.OuterStride) + (at * operand.InnerStride));
        }

        return value;
    }

    private static Float4 MultiplyAdd(Float4 sums, float a, Float4 b) =>
        new(sums.X + (a * b.X), sums.Y + (a * b.Y), sums.Z + (a * b.Z), sums.W + (a * b.W));

    /// <summary>What <see cref="BFloat16"/> is given: Left [rows, Pitch] and Right [columns, Pitch] in chunks, Steps of 32 along the rows.</summary>
    public readonly record struct BFloat16Arguments(ArrayView<Word4> Left, ArrayView<Word4> Right, int Pitch, int Steps, ResultTile Result);

    /// <summary>What <see cref="Float32"/> is given.</summary>
    public readonly record struct Float32Arguments(FloatOperand Left, FloatOperand Right, int Inner, ResultTile Result);

    /// <summary>An operand: element (outer, inner) is Values[outer · OuterStride + inner · InnerStride].</summary>
    public readonly record struct FloatOperand(FloatingView Values, int Outer, int OuterStride, int InnerStride);
}
