namespace PureQLora.Core;

/// <summary>Operands as floats, in the panels of a micro-kernel.</summary>
/// <typeparam name="TKernel">The innermost loops.</typeparam>
/// <typeparam name="TRounding">Whether operands are rounded to bfloat16 first.</typeparam>
internal readonly unsafe struct Float32Format<TKernel, TRounding> : IGemmFormat
    where TKernel : struct, IMicroKernel
    where TRounding : struct, IOperandRounding
{
    public static int Columns => TKernel.Columns;

    public static int TallestRows => TKernel.TallestRows;

    public static int InnerBlock => 256;

    public static int PanelHeight(int rowsLeft) => TKernel.PanelHeight(rowsLeft);

    public static long LeftBytes(long rows, int depth) => rows * depth * sizeof(float);

    public static long RightBytes(int depth) => (long)TKernel.Columns * depth * sizeof(float);

    public static long BufferLength(int outerCount) => PanelPacking<TKernel>.BufferLength(outerCount);

    public static void PackLeft(in MatrixSource source, bool innerContiguous, long row, int rows, long inner, int depth, byte* target, float* buffer)
    {
        PanelPacking<TKernel>.Pack(source, innerContiguous, isLeft: true, row, rows, inner, depth, (float*)target, buffer);
        if (TRounding.Rounds)
        {
            BFloat16Vectors.Round((float*)target, (float*)target, (long)PaddedRows(rows) * depth);
        }
    }

    public static void PackRight(in MatrixSource source, bool innerContiguous, long column, int columns, long inner, int depth, byte* target, float* buffer)
    {
        PanelPacking<TKernel>.Pack(source, innerContiguous, isLeft: false, column, columns, inner, depth, (float*)target, buffer);
        if (TRounding.Rounds)
        {
            long padded = (columns + Columns - 1) / Columns * Columns;
            BFloat16Vectors.Round((float*)target, (float*)target, padded * depth);
        }
    }

    public static void Tile(int height, byte* left, byte* right, int depth, float alpha, bool accumulate, float* c, long stride) =>
        TKernel.Tile(height, (float*)left, (float*)right, depth, alpha, accumulate, c, stride);

    /// <summary>Rows of all panels that so many rows take.</summary>
    private static int PaddedRows(int rows)
    {
        int padded = 0;
        while (padded < rows)
        {
            padded += TKernel.PanelHeight(rows - padded);
        }

        return padded;
    }
}
