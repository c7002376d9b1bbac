using System.Runtime.Intrinsics;

namespace PureQLora.Models;

/// <summary>C −= A · B in float64: what GPTQ's lazy updates, triangular inverses and quadratic forms all come down to.</summary>
internal static unsafe class BlockUpdate
{
    private const int TileColumns = 16;
    private const int TileRows = 4;

    /// <summary>Subtracts a product. All matrices are row-major with the given strides in elements.</summary>
    /// <remarks>
    /// Each element is c = fma(−a_k, b_k, c) for rising k, whatever the tile it falls into, so the result depends on neither the
    /// processor's vectors nor the number of rows and columns asked for at once.
    /// </remarks>
    /// <param name="c">Updated. [rows, columns]</param>
    /// <param name="strideC">Row stride of <paramref name="c"/>.</param>
    /// <param name="a">[rows, depth]</param>
    /// <param name="strideA">Row stride of <paramref name="a"/>.</param>
    /// <param name="b">[depth, columns]</param>
    /// <param name="strideB">Row stride of <paramref name="b"/>.</param>
    /// <param name="rows">Rows of C and A.</param>
    /// <param name="depth">Columns of A, rows of B.</param>
    /// <param name="columns">Columns of C and B.</param>
    public static void Subtract(double* c, int strideC, double* a, int strideA, double* b, int strideB, int rows, int depth, int columns)
    {
        // A tile of B is copied side by side: its rows lie a power of two apart, which would map them all to one set of the cache.
        double[] panelArray = GC.AllocateUninitializedArray<double>(depth * TileColumns);
        fixed (double* panel = panelArray)
        {
            int column = 0;
            for (; column + TileColumns <= columns; column += TileColumns)
            {
                for (int k = 0; k < depth; k++)
                {
                    new ReadOnlySpan<double>(b + ((long)k * strideB) + column, TileColumns).CopyTo(new Span<double>(panel + (k * TileColumns), TileColumns));
                }

                int row = 0;
                for (; row + TileRows <= rows; row += TileRows)
                {
                    SubtractTile(c + ((long)row * strideC) + column, strideC, a + ((long)row * strideA), strideA, panel, depth);
                }

                for (; row < rows; row++)
                {
                    SubtractRow(c + ((long)row * strideC) + column, a + ((long)row * strideA), panel, depth);
                }
            }

            for (int row = 0; row < rows && column < columns; row++)
            {
                SubtractTail(c + ((long)row * strideC) + column, a + ((long)row * strideA), b + column, strideB, depth, columns - column);
            }
        }
    }

    private static void SubtractTile(double* c, int strideC, double* a, int strideA, double* panel, int depth)
    {
        const int Half = TileColumns / 2;
        double* c1 = c + strideC, c2 = c1 + strideC, c3 = c2 + strideC;
        double* a1 = a + strideA, a2 = a1 + strideA, a3 = a2 + strideA;
        Vector512<double> c00 = Vector512.Load(c), c01 = Vector512.Load(c + Half);
        Vector512<double> c10 = Vector512.Load(c1), c11 = Vector512.Load(c1 + Half);
        Vector512<double> c20 = Vector512.Load(c2), c21 = Vector512.Load(c2 + Half);
        Vector512<double> c30 = Vector512.Load(c3), c31 = Vector512.Load(c3 + Half);
        for (int k = 0; k < depth; k++, panel += TileColumns)
        {
            Vector512<double> b0 = Vector512.Load(panel), b1 = Vector512.Load(panel + Half);
            Vector512<double> factor = Vector512.Create(-a[k]);
            c00 = Vector512.FusedMultiplyAdd(factor, b0, c00);
            c01 = Vector512.FusedMultiplyAdd(factor, b1, c01);
            factor = Vector512.Create(-a1[k]);
            c10 = Vector512.FusedMultiplyAdd(factor, b0, c10);
            c11 = Vector512.FusedMultiplyAdd(factor, b1, c11);
            factor = Vector512.Create(-a2[k]);
            c20 = Vector512.FusedMultiplyAdd(factor, b0, c20);
            c21 = Vector512.FusedMultiplyAdd(factor, b1, c21);
            factor = Vector512.Create(-a3[k]);
            c30 = Vector512.FusedMultiplyAdd(factor, b0, c30);
            c31 = Vector512.FusedMultiplyAdd(factor, b1, c31);
        }

        c00.Store(c);
        c01.Store(c + Half);
        c10.Store(c1);
        c11.Store(c1 + Half);
        c20.Store(c2);
        c21.Store(c2 + Half);
        c30.Store(c3);
        c31.Store(c3 + Half);
    }

    private static void SubtractRow(double* c, double* a, double* panel, int depth)
    {
        const int Half = TileColumns / 2;
        Vector512<double> c0 = Vector512.Load(c), c1 = Vector512.Load(c + Half);
        for (int k = 0; k < depth; k++, panel += TileColumns)
        {
            Vector512<double> factor = Vector512.Create(-a[k]);
            c0 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(panel), c0);
            c1 = Vector512.FusedMultiplyAdd(factor, Vector512.Load(panel + Half), c1);
        }

        c0.Store(c);
        c1.Store(c + Half);
    }

    private static void SubtractTail(double* c, double* a, double* b, int strideB, int depth, int columns)
    {
        for (int k = 0; k < depth; k++, b += strideB)
        {
            for (int column = 0; column < columns; column++)
            {
                c[column] = Math.FusedMultiplyAdd(-a[k], b[column], c[column]);
            }
        }
    }
}
