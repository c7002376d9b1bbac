using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>Sums and products in float64, for GPTQ.</summary>
public static class Float64Kernels
{
    /// <summary>Rows and columns of a group's tile of the symmetric sum; a thread makes 4 × 4 elements.</summary>
    public const int SumTile = 64;

    /// <summary>Rows and columns of a group's tile of a product; a thread makes 2 × 2 elements.</summary>
    public const int ProductTile = 32;

    /// <summary>sum += xᵀ · x: one group for each tile on or above the diagonal.</summary>
    public static readonly Kernel<SumArguments> SymmetricUpdate = new(RunSymmetricUpdate, Threads);

    /// <summary>c += alpha · op(a) · op(b).</summary>
    public static readonly Kernel<ProductArguments> Product = new(RunProduct, Threads);

    private const int Threads = 256;
    private const int Depth = 16;

    /// <summary>Rows whose products are summed in float32.</summary>
    private const int RunRows = 128;

    private static void RunSymmetricUpdate(SumArguments arguments)
    {
        ArrayView<float> left = SharedMemory.Allocate<float>(Depth * SumTile);
        ArrayView<float> right = SharedMemory.Allocate<float>(Depth * SumTile);
        if (Grid.IdxX < Grid.IdxY)
        {
            return;
        }

        int row = 4 * (Group.IdxX >> 4);
        int column = 4 * (Group.IdxX & 15);
        DoubleSums sums0 = default;
        DoubleSums sums1 = default;
        DoubleSums sums2 = default;
        DoubleSums sums3 = default;
        for (int run = 0; run < arguments.Rows; run += RunRows)
        {
            int end = run + RunRows < arguments.Rows ? run + RunRows : arguments.Rows;
            Float4 part0 = default;
            Float4 part1 = default;
            Float4 part2 = default;
            Float4 part3 = default;
            for (int start = run; start < end; start += Depth)
            {
                Load(arguments, left, Grid.IdxY * SumTile, start);
                Load(arguments, right, Grid.IdxX * SumTile, start);
                Group.Barrier();
                for (int k = 0; k < Depth; k++)
                {
                    int at = k * SumTile;
                    Float4 b = new(right[at + column], right[at + column + 1], right[at + column + 2], right[at + column + 3]);
                    part0 = MultiplyAdd(part0, left[at + row], b);
                    part1 = MultiplyAdd(part1, left[at + row + 1], b);
                    part2 = MultiplyAdd(part2, left[at + row + 2], b);
                    part3 = MultiplyAdd(part3, left[at + row + 3], b);
                }

                Group.Barrier();
            }

            sums0 = Add(sums0, part0);
            sums1 = Add(sums1, part1);
            sums2 = Add(sums2, part2);
            sums3 = Add(sums3, part3);
        }

        row += Grid.IdxY * SumTile;
        column += Grid.IdxX * SumTile;
        Store(arguments, sums0, row, column);
        Store(arguments, sums1, row + 1, column);
        Store(arguments, sums2, row + 2, column);
        Store(arguments, sums3, row + 3, column);
    }

    /// <summary>Sixteen rows of x, 64 columns of each; 0 past either end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Load(SumArguments arguments, ArrayView<float> tile, int firstColumn, int firstRow)
    {
        for (int i = Group.IdxX; i < Depth * SumTile; i += Threads)
        {
            int row = firstRow + (i / SumTile);
            int column = firstColumn + (i % SumTile);
            float value = 0f;
            if (row < arguments.Rows && column < arguments.Columns)
            {
                value = arguments.X[(row * arguments.Columns) + column];
            }

            tile[i] = value;
        }
    }

    private static void Store(SumArguments arguments, DoubleSums sums, int row, int column)
    {
        Add(arguments, sums.X, row, column);
        Add(arguments, sums.Y, row, column + 1);
        Add(arguments, sums.Z, row, column + 2);
        Add(arguments, sums.W, row, column + 3);
    }

    private static void Add(SumArguments arguments, double value, int row, int column)
    {
        if (row < arguments.Columns && column < arguments.Columns)
        {
            ArrayView<double> sum = arguments.Sum;
            sum[((long)row * arguments.Stride) + column] += value;
        }
    }

    private static DoubleSums Add(DoubleSums sums, Float4 part) => new(sums.X + part.X, sums.Y + part.Y, sums.Z + part.Z, sums.W + part.W);

    private static Float4 MultiplyAdd(Float4 sums, float a, Float4 b) =>
        new(sums.X + (a * b.X), sums.Y + (a * b.Y), sums.Z + (a * b.Z), sums.W + (a * b.W));

    private static void RunProduct(ProductArguments arguments)
    {
        ArrayView<double> left = SharedMemory.Allocate<double>(Depth * ProductTile);
        ArrayView<double> right = SharedMemory.Allocate<double>(Depth * ProductTile);
        int row = Group.IdxX >> 4;
        int column = Group.IdxX & 15;
        DoubleSums sums = default;
        for (int start = 0; start < arguments.Inner; start += Depth)
        {
            Load(left, arguments.A, Grid.IdxY * ProductTile, start, arguments.Inner);
            Load(right, arguments.B, Grid.IdxX * ProductTile, start, arguments.Inner);
            Group.Barrier();
            for (int k = 0; k < Depth; k++)
            {
                double a0 = left[(k * ProductTile) + row];
                double a1 = left[(k * ProductTile) + row + 16];
                double b0 = right[(k * ProductTile) + column];
                double b1 = right[(k * ProductTile) + column + 16];
                sums = new DoubleSums(sums.X + (a0 * b0), sums.Y + (a0 * b1), sums.Z + (a1 * b0), sums.W + (a1 * b1));
            }

            Group.Barrier();
        }

        row += Grid.IdxY * ProductTile;
        column += Grid.IdxX * ProductTile;
        Add(arguments, sums.X, row, column);
        Add(arguments, sums.Y, row, column + 16);
        Add(arguments, sums.Z, row + 16, column);
        Add(arguments, sums.W, row + 16, column + 16);
    }

    /// <summary>[Depth, ProductTile]: 32 elements along the outer dimension at sixteen places along the inner one; 0 past either end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Load(ArrayView<double> tile, DoubleOperand operand, int firstOuter, int firstInner, int inner)
    {
        for (int i = Group.IdxX; i < Depth * ProductTile; i += Threads)
        {
            // Neighbours read neighbouring elements, whichever way the matrix lies.
            int outerFirst = operand.OuterStride == 1 ? i % ProductTile : i / Depth;
            int at = operand.OuterStride == 1 ? i / ProductTile : i % Depth;
            double value = 0;
            if (firstOuter + outerFirst < operand.Outer && firstInner + at < inner)
            {
                value = operand.Values[((long)(firstOuter + outerFirst) * operand.OuterStride) + ((long)(firstInner + at) * operand.InnerStride)];
            }

            tile[(at * ProductTile) + outerFirst] = value;
        }
    }

    private static void Add(ProductArguments arguments, double sum, int row, int column)
    {
        if (row < arguments.A.Outer && column < arguments.B.Outer)
        {
            ArrayView<double> c = arguments.C;
            c[((long)row * arguments.Stride) + column] += arguments.Alpha * sum;
        }
    }

    /// <summary>What <see cref="SymmetricUpdate"/> is given: X is [Rows, Columns], Sum [Columns, Columns] with Stride elements from row to row.</summary>
    public readonly record struct SumArguments(ArrayView<float> X, int Rows, int Columns, ArrayView<double> Sum, int Stride);

    /// <summary>What <see cref="Product"/> is given.</summary>
    public readonly record struct ProductArguments(DoubleOperand A, DoubleOperand B, int Inner, double Alpha, ArrayView<double> C, int Stride);

    /// <summary>An operand: element (outer, inner) is Values[outer · OuterStride + inner · InnerStride].</summary>
    public readonly record struct DoubleOperand(ArrayView<double> Values, int Outer, int OuterStride, int InnerStride);
}
