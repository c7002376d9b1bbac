namespace PureQLora.Core;

/// <summary>
/// How a product is cut: left rows are packed block by block of the inner dimension; work items are groups of rows by groups of column
/// panels. All of it follows from the extents and the format alone, never from the number of threads.
/// </summary>
/// <typeparam name="TFormat">Panels and tiles.</typeparam>
internal readonly struct GemmPlan<TFormat>
    where TFormat : struct, IGemmFormat
{
    /// <summary>Items that a product should have at least, as long as each keeps enough work.</summary>
    private const long EnoughItems = 16;

    /// <summary>Panels that one item packs at once: rows of a right operand that lie across are then read in pieces of a useful length.</summary>
    private const long MostPanels = 4;

    /// <summary>Left panels that a packed right panel is used for at least, or packing it is what costs.</summary>
    private const long FewestUses = 8;

    /// <summary>Rows whose sums one item keeps in its cache.</summary>
    private const long MostRows = 512;

    /// <summary>Bytes of packed left rows at once.</summary>
    private const long LeftBudget = 24L << 20;

    /// <summary>Plans a product.</summary>
    /// <param name="problem">Gives the extents.</param>
    public GemmPlan(in GemmProblem problem)
    {
        (FirstDepth, SecondDepth) = (problem.First.Depth, problem.Second.Depth);
        FirstBlocks = (FirstDepth + TFormat.InnerBlock - 1) / TFormat.InnerBlock;
        Blocks = FirstBlocks + ((SecondDepth + TFormat.InnerBlock - 1) / TFormat.InnerBlock);
        long unit = RowUnit;
        long rowBytes = Math.Max(1, Blocks * TFormat.LeftBytes(1, TFormat.InnerBlock));
        RowBlock = Math.Max(8 * unit, LeftBudget / rowBytes / unit * unit);
        long panels = (problem.N + TFormat.Columns - 1) / TFormat.Columns;
        Panels = (int)Math.Clamp(panels / EnoughItems, 1, MostPanels);
        long across = (panels + Panels - 1) / Panels;
        long down = Math.Clamp(Math.Min(problem.M, RowBlock) / (FewestUses * TFormat.TallestRows), 1, (EnoughItems + across - 1) / across);
        down = Math.Max(down, Math.Min(problem.M, RowBlock) / MostRows);
        RowGroup = Math.Max(1, Math.Min(problem.M, RowBlock) / down / unit) * unit;
    }

    /// <summary>Rows between two places where a panel is sure to start.</summary>
    public static long RowUnit => 4L * TFormat.TallestRows;

    /// <summary>Inner extent of the first term.</summary>
    public long FirstDepth { get; }

    /// <summary>Inner extent of the second term.</summary>
    public long SecondDepth { get; }

    /// <summary>Inner blocks of the first term.</summary>
    public long FirstBlocks { get; }

    /// <summary>Inner blocks of both terms.</summary>
    public long Blocks { get; }

    /// <summary>Rows that are packed at once.</summary>
    public long RowBlock { get; }

    /// <summary>Rows of an item; the last one has more.</summary>
    public long RowGroup { get; }

    /// <summary>Column panels of an item.</summary>
    public int Panels { get; }

    /// <summary>First inner index and length of a block within its term.</summary>
    public (long Start, int Depth) Block(long block)
    {
        (long index, long depth) = block < FirstBlocks ? (block, FirstDepth) : (block - FirstBlocks, SecondDepth);
        long start = index * TFormat.InnerBlock;
        return (start, (int)Math.Min(TFormat.InnerBlock, depth - start));
    }
}
