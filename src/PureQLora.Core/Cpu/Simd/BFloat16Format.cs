namespace PureQLora.Core;

/// <summary>Operands rounded to bfloat16: left rows as they are, right panels in pairs of inner elements.</summary>
/// <typeparam name="TCode">The assembled tile kernels.</typeparam>
internal readonly unsafe struct BFloat16Format<TCode> : IGemmFormat
    where TCode : struct, ITileCode
{
    public static int Columns => BFloat16Panels.Columns;

    public static int TallestRows => TCode.TallestRows;

    public static int InnerBlock => BFloat16Panels.InnerBlock;

    /// <summary>Panels as equal as can be: short ones keep fewer sums in flight.</summary>
    public static int PanelHeight(int rowsLeft)
    {
        int panels = (rowsLeft + TCode.TallestRows - 1) / TCode.TallestRows;
        return (rowsLeft + panels - 1) / panels;
    }

    public static long LeftBytes(long rows, int depth) => rows * BFloat16Panels.LeftStride;

    public static long RightBytes(int depth) => (long)((depth + 1) / 2) * BFloat16Panels.PairBytes;

    public static long BufferLength(int outerCount) => BFloat16Packing.BufferLength(outerCount);

    public static void PackLeft(in MatrixSource source, bool innerContiguous, long row, int rows, long inner, int depth, byte* target, float* buffer)
    {
        if (innerContiguous)
        {
            BFloat16Packing.CopyRows(source, row, rows, inner, depth, target, buffer);
        }
        else
        {
            BFloat16Packing.TransposeRows(source, row, rows, inner, depth, target, buffer);
        }
    }

    public static void PackRight(in MatrixSource source, bool innerContiguous, long column, int columns, long inner, int depth, byte* target, float* buffer)
    {
        if (innerContiguous)
        {
            BFloat16Packing.TransposePanels(source, column, columns, inner, depth, target, buffer);
        }
        else
        {
            BFloat16Packing.InterleavePanels(source, column, columns, inner, depth, target, buffer);
        }
    }

    public static void Tile(int height, byte* left, byte* right, int depth, float alpha, bool accumulate, float* c, long stride)
    {
        TileArguments arguments = new()
        {
            Left = left,
            Right = right,
            Pairs = (depth + 1) / 2,
            C = c,
            StrideBytes = stride * sizeof(float),
            Alpha = alpha,
        };
        TCode.Run(height, accumulate, arguments);
    }
}
