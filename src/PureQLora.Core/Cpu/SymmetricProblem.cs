namespace PureQLora.Core;

/// <summary>One batch of rows of a symmetric update, and how it is cut into panels of columns. The cut follows from the extents alone.</summary>
/// <param name="input">x. [rows, columns]</param>
/// <param name="rows">Rows of the batch, at most <see cref="BatchRows"/>.</param>
/// <param name="columns">Columns of x.</param>
/// <param name="packed">Room for x as panels. [panels, rows, PanelColumns]</param>
/// <param name="sum">What is added to. [columns, columns]</param>
internal readonly unsafe struct SymmetricProblem(float* input, int rows, int columns, float* packed, double* sum)
{
    /// <summary>Columns of a panel: three vectors of 512 bits, six of 256 and twelve of 128, and whole tiles of four rows.</summary>
    public const int PanelColumns = 48;

    /// <summary>Rows whose products are summed in float32; longer sums are float64.</summary>
    public const int RunRows = 128;

    /// <summary>Rows that pass while a block of the sum is in the cache, a multiple of <see cref="RunRows"/>.</summary>
    public const int BatchRows = 1024;

    /// <summary>Panels on the left that meet one on the right before the next comes: together they stay in the L2 cache.</summary>
    public const int GroupPanels = 2;

    public float* Input => input;

    public int Rows => rows;

    public int Columns => columns;

    public int Panels => PanelsOf(columns);

    /// <summary>Work items: a group of left panels with each right panel that does not lie left of the whole group.</summary>
    public long Items
    {
        get
        {
            long items = 0;
            for (int group = 0; group < Panels; group += GroupPanels)
            {
                items += Panels - group;
            }

            return items;
        }
    }

    public static int PanelsOf(int columns) => (columns + PanelColumns - 1) / PanelColumns;

    /// <summary>x of one panel. [rows, PanelColumns]</summary>
    public float* Panel(int panel) => packed + ((long)panel * rows * PanelColumns);

    /// <summary>First element of the block where two panels meet.</summary>
    public double* Block(int left, int right) => sum + ((long)left * PanelColumns * columns) + (right * PanelColumns);

    /// <summary>Columns of x in a panel; the rest of the last one is zero.</summary>
    public int Width(int panel) => Math.Min(PanelColumns, columns - (panel * PanelColumns));

    /// <summary>First left panel and the right panel of a work item.</summary>
    public (int Group, int Right) Item(long item)
    {
        int group = 0;
        for (; item >= Panels - group; group += GroupPanels)
        {
            item -= Panels - group;
        }

        return (group, group + (int)item);
    }
}
