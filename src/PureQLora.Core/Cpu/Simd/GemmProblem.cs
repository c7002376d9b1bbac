namespace PureQLora.Core;

/// <summary>A batch of products c = alpha · op(a) · op(b), and how it is cut into tiles. The cut follows from the extents alone.</summary>
internal unsafe struct GemmProblem
{
    /// <summary>Inner elements of one packed block; also the order of summation, so it is fixed.</summary>
    public const int InnerBlock = 256;

    /// <summary>Multiplications that are worth a work item of their own (a few microseconds).</summary>
    public const long ItemWork = 1 << 16;

    /// <summary>Items that a product should have at least, as long as each keeps <see cref="TileWork"/>.</summary>
    private const long EnoughTiles = 12;

    private const long TileWork = 1 << 20;
    private const int LargestTileRows = 504;
    private const int LargestTileColumns = 512;

    /// <summary>Panels that a cut leaves side by side at least, so that what is packed is used often enough.</summary>
    private const int FewestPanels = 4;

    /// <summary>Columns that a cut leaves of a right operand with long rows across the tiles: shorter pieces read memory badly.</summary>
    private const int NarrowestCut = 256;

    private const int LongRow = 1024;

    public MatrixSource A;
    public MatrixSource B;
    public bool TransposeA;
    public bool TransposeB;
    public bool RoundsOperands;
    public bool Accumulate;
    public float Alpha;
    public long M;
    public long N;
    public long K;

    /// <summary>Stored rows between the batch items of a.</summary>
    public long BatchStepA;

    /// <summary>Stored rows between the batch items of b.</summary>
    public long BatchStepB;

    /// <summary>Number of products; each has its own c, one behind the other.</summary>
    public long Batch;

    public float* C;

    /// <summary>Distance of two rows of c.</summary>
    public long RowStride;

    /// <summary>Distance of two columns of c: 1, unless the product was turned round.</summary>
    public long ColumnStride;

    public int TileRows;
    public int TileColumns;

    public readonly long TilesDown => (M + TileRows - 1) / TileRows;

    public readonly long TilesAcross => (N + TileColumns - 1) / TileColumns;

    public readonly long Tiles => Batch * TilesDown * TilesAcross;

    /// <summary>The same product as cᵀ = op(b)ᵀ · op(a)ᵀ.</summary>
    public readonly GemmProblem Turned()
    {
        GemmProblem turned = this;
        (turned.A, turned.B, turned.M, turned.N) = (B, A, N, M);
        (turned.TransposeA, turned.TransposeB) = (!TransposeB, !TransposeA);
        (turned.BatchStepA, turned.BatchStepB) = (BatchStepB, BatchStepA);
        (turned.RowStride, turned.ColumnStride) = (ColumnStride, RowStride);
        return turned;
    }

    /// <summary>Writes sums to a row of c from a column on, or adds them.</summary>
    public readonly void Store(long row, long column, int count, float* sums)
    {
        float* c = C + (row * RowStride) + (column * ColumnStride);
        for (int j = 0; j < count; j++, c += ColumnStride)
        {
            float value = Alpha * sums[j];
            *c = Accumulate ? *c + value : value;
        }
    }

    /// <summary>Chooses tiles of whole panels: large for reuse of what is packed, small enough for some parallelism.</summary>
    public void Cut(int panelRows, int panelColumns)
    {
        TileRows = Even(M, LargestTileRows, panelRows);
        TileColumns = Even(N, LargestTileColumns, panelColumns);
        int lowest = FewestPanels * panelRows;
        int narrowest = TransposeB || N <= LongRow ? FewestPanels * panelColumns : NarrowestCut;
        while (Tiles < EnoughTiles && (long)TileRows * TileColumns * K >= 2 * TileWork)
        {
            int rows = Math.Max(lowest, Even(TileRows, (TileRows + 1) / 2, panelRows));
            int columns = Math.Max(narrowest, Even(TileColumns, (TileColumns + 1) / 2, panelColumns));
            if (rows < TileRows && (TileRows >= TileColumns || columns >= TileColumns))
            {
                TileRows = rows;
            }
            else if (columns < TileColumns)
            {
                TileColumns = columns;
            }
            else
            {
                return;
            }
        }
    }

    /// <summary>Size of equal parts of an extent that are at most about <paramref name="largest"/>, in whole panels.</summary>
    private static int Even(long extent, int largest, int panel)
    {
        long parts = (extent + largest - 1) / largest;
        long size = (extent + parts - 1) / Math.Max(1, parts);
        return (int)(Math.Max(1, (size + panel - 1) / panel) * panel);
    }
}
