namespace PureQLora.Core;

/// <summary>The innermost loops of matrix products at one vector width.</summary>
/// <remarks>Tile loops and packing: Van Zee and van de Geijn, "BLIS", ACM TOMS 41(3), 2015.</remarks>
internal unsafe interface IMicroKernel
{
    /// <summary>Columns of a tile: width of a right panel.</summary>
    static abstract int Columns { get; }

    /// <summary>Rows of the tallest tile.</summary>
    static abstract int TallestRows { get; }

    /// <summary>Height of the next left panel when so many rows are left; a panel may be taller than that only if it is the last.</summary>
    static abstract int PanelHeight(int rowsLeft);

    /// <summary>c = alpha · Σ over p of a(p, ·) ⊗ b(p, ·), or c += that.</summary>
    /// <param name="height">A height that <see cref="PanelHeight"/> gives.</param>
    /// <param name="a">[k, height]</param>
    /// <param name="b">[k, Columns]</param>
    /// <param name="k">Terms of the sum.</param>
    /// <param name="alpha">Factor.</param>
    /// <param name="accumulate">Add to c.</param>
    /// <param name="c">[height, Columns]</param>
    /// <param name="stride">Distance of c's rows.</param>
    static abstract void Tile(int height, float* a, float* b, long k, float alpha, bool accumulate, float* c, long stride);

    /// <summary>sums(i, j) += left(i) · right(j) for four right rows.</summary>
    /// <param name="rows">Left rows: 1, 2 or 4.</param>
    /// <param name="left">First left row.</param>
    /// <param name="stride">Distance of the left rows.</param>
    /// <param name="right">Four pointers.</param>
    /// <param name="k">Terms of each sum.</param>
    /// <param name="sums">[rows, 4]</param>
    static abstract void Dots(int rows, float* left, long stride, float** right, long k, float* sums);
}
