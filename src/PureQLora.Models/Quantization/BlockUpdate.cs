using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace PureQLora.Models;

/// <summary>C −= A · B in float64: what GPTQ's lazy updates, triangular inverses and quadratic forms all come down to.</summary>
/// <remarks>
/// Each element is c = fma(−a_k, b_k, c) for rising k, whatever the tile it falls into, so the result depends on neither the processor's
/// vectors nor on how a product is cut into several.
/// </remarks>
internal static unsafe class BlockUpdate
{
    private const int TileRows = 4;

    /// <summary>Doubles of a cache line.</summary>
    private const int LineDoubles = 8;

    /// <summary>Terms that pass while a tile of C is in registers.</summary>
    private const int Depth = 128;

    /// <summary>
    /// Columns of B that are packed at once, a whole number of tiles of every width: long pieces of rows, because a page of a large matrix
    /// holds hardly one row; with 128 terms 192 KB, which stays in the L2 cache.
    /// </summary>
    private const int PackedColumns = 192;

    [ThreadStatic]
    private static double[]? _packed;

    /// <summary>Subtracts a product.</summary>
    /// <param name="vectorBits">Vectors to use: 512, 256, and 128 for all below.</param>
    /// <param name="c">Updated; rows are contiguous. [rows, columns]</param>
    /// <param name="a">[rows, depth]</param>
    /// <param name="b">Rows are contiguous. [depth, columns]</param>
    /// <param name="rows">Rows of C and A.</param>
    /// <param name="depth">Columns of A, rows of B.</param>
    /// <param name="columns">Columns of C and B.</param>
    public static void Subtract(int vectorBits, DoubleMatrix c, DoubleMatrix a, DoubleMatrix b, int rows, int depth, int columns)
    {
        switch (vectorBits)
        {
            case 512:
                Subtract<Vector512<double>, DoubleLanes512>(c, a, b, rows, depth, columns);
                break;
            case 256:
                Subtract<Vector256<double>, DoubleLanes256>(c, a, b, rows, depth, columns);
                break;
            default:
                Subtract<Vector128<double>, DoubleLanes128>(c, a, b, rows, depth, columns);
                break;
        }
    }

    private static void Subtract<TVector, TLanes>(DoubleMatrix c, DoubleMatrix a, DoubleMatrix b, int rows, int depth, int columns)
        where TVector : unmanaged
        where TLanes : struct, IDoubleLanes<TVector>
    {
        // Pinned once and for all, and kept by the thread.
        _packed ??= GC.AllocateUninitializedArray<double>((Depth * PackedColumns) + 8, pinned: true);
        fixed (double* unaligned = _packed)
        {
            double* packed = (double*)(((nint)unaligned + 63) & ~63);
            for (int k = 0; k < depth; k += Depth)
            {
                int terms = Math.Min(Depth, depth - k);
                for (int column = 0; column < columns; column += PackedColumns)
                {
                    int width = Math.Min(PackedColumns, columns - column);
                    Pack<TVector, TLanes>(b.From(k, column), terms, width, packed);
                    for (int panel = 0; panel < width; panel += 3 * TLanes.Count)
                    {
                        SubtractPanel<TVector, TLanes>(
                            c.From(0, column + panel), a.From(0, k), packed + (panel * terms), rows, terms, Math.Min(3 * TLanes.Count, width - panel));
                    }
                }
            }
        }
    }

    /// <summary>−B as panels of [terms, three vectors], one behind the other; the last is filled up with zeros.</summary>
    private static void Pack<TVector, TLanes>(DoubleMatrix b, int terms, int width, double* packed)
        where TVector : unmanaged
        where TLanes : struct, IDoubleLanes<TVector>
    {
        int columns = 3 * TLanes.Count;
        for (int k = 0; k < terms; k++)
        {
            double* source = b.At(k, 0);
            double* target = packed + (k * columns);
            int column = 0;
            for (; column <= width - columns; column += columns, target += terms * columns)
            {
                Store<TVector, TLanes>(
                    TLanes.Negate(TLanes.Load(source + column)),
                    TLanes.Negate(TLanes.Load(source + column + TLanes.Count)),
                    TLanes.Negate(TLanes.Load(source + column + (2 * TLanes.Count))),
                    target);
            }

            if (column < width)
            {
                Span<double> row = new(target, columns);
                TensorPrimitives.Negate(new ReadOnlySpan<double>(source + column, width - column), row);
                row[(width - column)..].Clear();
            }
        }
    }

    private static void SubtractPanel<TVector, TLanes>(DoubleMatrix c, DoubleMatrix a, double* panel, int rows, int depth, int width)
        where TVector : unmanaged
        where TLanes : struct, IDoubleLanes<TVector>
    {
        int columns = 3 * TLanes.Count;
        double* edge = stackalloc double[TileRows * columns];
        for (int row = 0; row < rows; row += TileRows)
        {
            int height = Math.Min(TileRows, rows - row);
            if (height == TileRows && width == columns)
            {
                Prefetch(c, row + TileRows, rows, columns);
                SubtractTile<TVector, TLanes>(c.At(row, 0), c.RowStride, a.At(row, 0), a.RowStride, a.ColumnStride, panel, depth);
                continue;
            }

            for (int i = 0; i < height; i++)
            {
                new ReadOnlySpan<double>(c.At(row + i, 0), width).CopyTo(new Span<double>(edge + (i * columns), width));
            }

            if (height == TileRows)
            {
                SubtractTile<TVector, TLanes>(edge, columns, a.At(row, 0), a.RowStride, a.ColumnStride, panel, depth);
            }
            else
            {
                for (int i = 0; i < height; i++)
                {
                    SubtractRow<TVector, TLanes>(edge + (i * columns), a.At(row + i, 0), a.ColumnStride, panel, depth);
                }
            }

            for (int i = 0; i < height; i++)
            {
                new ReadOnlySpan<double>(edge + (i * columns), width).CopyTo(new Span<double>(c.At(row + i, 0), width));
            }
        }
    }

    /// <summary>
    /// Asks for the next tile of C: its rows lie far apart, and the processor does not see beyond a tile.
    /// </summary>
    private static void Prefetch(DoubleMatrix c, int row, int rows, int columns)
    {
        for (int end = Math.Min(row + TileRows, rows); Sse.IsSupported && row < end; row++)
        {
            double* first = c.At(row, 0);
            for (int column = 0; column < columns + LineDoubles; column += LineDoubles)
            {
                Sse.Prefetch0(first + Math.Min(column, columns - 1));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SubtractTile<TVector, TLanes>(double* c, int strideC, double* a, int strideA, int stepA, double* panel, int depth)
        where TVector : unmanaged
        where TLanes : struct, IDoubleLanes<TVector>
    {
        double* c1 = c + strideC, c2 = c1 + strideC, c3 = c2 + strideC;
        double* a1 = a + strideA, a2 = a1 + strideA, a3 = a2 + strideA;
        int one = TLanes.Count, two = 2 * TLanes.Count;
        TVector c00 = TLanes.Load(c), c01 = TLanes.Load(c + one), c02 = TLanes.Load(c + two);
        TVector c10 = TLanes.Load(c1), c11 = TLanes.Load(c1 + one), c12 = TLanes.Load(c1 + two);
        TVector c20 = TLanes.Load(c2), c21 = TLanes.Load(c2 + one), c22 = TLanes.Load(c2 + two);
        TVector c30 = TLanes.Load(c3), c31 = TLanes.Load(c3 + one), c32 = TLanes.Load(c3 + two);
        long step = stepA;
        for (long at = 0, end = depth * step; at < end; at += step, panel += 3 * TLanes.Count)
        {
            TVector b0 = TLanes.Load(panel), b1 = TLanes.Load(panel + one), b2 = TLanes.Load(panel + two);
            Subtract<TVector, TLanes>(a[at], b0, b1, b2, ref c00, ref c01, ref c02);
            Subtract<TVector, TLanes>(a1[at], b0, b1, b2, ref c10, ref c11, ref c12);
            Subtract<TVector, TLanes>(a2[at], b0, b1, b2, ref c20, ref c21, ref c22);
            Subtract<TVector, TLanes>(a3[at], b0, b1, b2, ref c30, ref c31, ref c32);
        }

        Store<TVector, TLanes>(c00, c01, c02, c);
        Store<TVector, TLanes>(c10, c11, c12, c1);
        Store<TVector, TLanes>(c20, c21, c22, c2);
        Store<TVector, TLanes>(c30, c31, c32, c3);
    }

    private static void SubtractRow<TVector, TLanes>(double* c, double* a, int stepA, double* panel, int depth)
        where TVector : unmanaged
        where TLanes : struct, IDoubleLanes<TVector>
    {
        int one = TLanes.Count, two = 2 * TLanes.Count;
        TVector c0 = TLanes.Load(c), c1 = TLanes.Load(c + one), c2 = TLanes.Load(c + two);
        for (int k = 0; k < depth; k++, a += stepA, panel += 3 * TLanes.Count)
        {
            Subtract<TVector, TLanes>(*a, TLanes.Load(panel), TLanes.Load(panel + one), TLanes.Load(panel + two), ref c0, ref c1, ref c2);
        }

        Store<TVector, TLanes>(c0, c1, c2, c);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Subtract<TVector, TLanes>(double a, TVector b0, TVector b1, TVector b2, ref TVector c0, ref TVector c1, ref TVector c2)
        where TVector : unmanaged
        where TLanes : struct, IDoubleLanes<TVector>
    {
        TVector factor = TLanes.Broadcast(a);
        c0 = TLanes.MultiplyAdd(factor, b0, c0);
        c1 = TLanes.MultiplyAdd(factor, b1, c1);
        c2 = TLanes.MultiplyAdd(factor, b2, c2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TVector, TLanes>(TVector c0, TVector c1, TVector c2, double* c)
        where TVector : unmanaged
        where TLanes : struct, IDoubleLanes<TVector>
    {
        TLanes.Store(c0, c);
        TLanes.Store(c1, c + TLanes.Count);
        TLanes.Store(c2, c + (2 * TLanes.Count));
    }
}
