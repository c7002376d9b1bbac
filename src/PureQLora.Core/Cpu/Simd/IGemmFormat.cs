namespace PureQLora.Core;

/// <summary>
/// How operands of a matrix product are packed and multiplied at one tier and precision. The left operand is packed once, as panels of
/// rows; the right one by the thread that needs it, as panels of <see cref="Columns"/> columns that then stay in its cache.
/// </summary>
/// <remarks>After Van Zee and van de Geijn, "BLIS", ACM TOMS 41(3), 2015.</remarks>
internal unsafe interface IGemmFormat
{
    /// <summary>Columns of a tile: width of a right panel.</summary>
    static abstract int Columns { get; }

    /// <summary>Rows of the tallest tile.</summary>
    static abstract int TallestRows { get; }

    /// <summary>Inner elements of one packed block; also the order of summation, so it is fixed.</summary>
    static abstract int InnerBlock { get; }

    /// <summary>Height of the next left panel when so many rows are left; a panel may be taller than that only if it is the last.</summary>
    static abstract int PanelHeight(int rowsLeft);

    /// <summary>Bytes of a packed block of so many rows.</summary>
    static abstract long LeftBytes(long rows, int depth);

    /// <summary>Bytes of a packed panel of <see cref="Columns"/> columns.</summary>
    static abstract long RightBytes(int depth);

    /// <summary>Floats of the buffer that packing so many rows or columns needs.</summary>
    static abstract long BufferLength(int outerCount);

    /// <summary>Packs rows of the left operand; what a last panel has beyond them stays undefined.</summary>
    /// <param name="source">The operand as stored.</param>
    /// <param name="innerContiguous">True where a stored row runs along the inner dimension.</param>
    /// <param name="row">First row.</param>
    /// <param name="rows">How many.</param>
    /// <param name="inner">First inner index.</param>
    /// <param name="depth">How many; at most <see cref="InnerBlock"/>.</param>
    /// <param name="target">Row i begins at <see cref="LeftBytes"/>(i).</param>
    /// <param name="buffer">Working memory.</param>
    static abstract void PackLeft(in MatrixSource source, bool innerContiguous, long row, int rows, long inner, int depth, byte* target, float* buffer);

    /// <summary>Packs columns of the right operand; what a last panel has beyond them stays undefined.</summary>
    /// <param name="source">The operand as stored.</param>
    /// <param name="innerContiguous">True where a stored row runs along the inner dimension.</param>
    /// <param name="column">First column.</param>
    /// <param name="columns">How many; several panels.</param>
    /// <param name="inner">First inner index.</param>
    /// <param name="depth">How many; at most <see cref="InnerBlock"/>.</param>
    /// <param name="target">Panel i begins at i · <see cref="RightBytes"/>.</param>
    /// <param name="buffer">Working memory.</param>
    static abstract void PackRight(in MatrixSource source, bool innerContiguous, long column, int columns, long inner, int depth, byte* target, float* buffer);

    /// <summary>c = alpha · Σ over p of left(·, p) ⊗ right(p, ·), or c += that.</summary>
    /// <param name="height">A height that <see cref="PanelHeight"/> gives.</param>
    /// <param name="left">Packed rows.</param>
    /// <param name="right">A packed panel.</param>
    /// <param name="depth">Terms of the sum.</param>
    /// <param name="alpha">Factor.</param>
    /// <param name="accumulate">Add to c.</param>
    /// <param name="c">[height, Columns]</param>
    /// <param name="stride">Distance of c's rows, in elements.</param>
    static abstract void Tile(int height, byte* left, byte* right, int depth, float alpha, bool accumulate, float* c, long stride);
}
