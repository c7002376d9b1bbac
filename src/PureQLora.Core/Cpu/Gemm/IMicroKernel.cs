namespace PureQLora.Core;

/// <summary>The innermost block of a matrix product: C (rows × columns) = or += alpha · A · B from packed panels.</summary>
internal unsafe interface IMicroKernel
{
    /// <summary>Rows of the block: height of an A panel.</summary>
    static abstract int Rows { get; }

    /// <summary>Columns of the block: width of a B panel.</summary>
    static abstract int Columns { get; }

    /// <summary>Multiplies k steps.</summary>
    /// <param name="a">[k, Rows]</param>
    /// <param name="b">[k, Columns]</param>
    /// <param name="k">Steps.</param>
    /// <param name="alpha">Factor on the product.</param>
    /// <param name="accumulate">Add to C instead of overwriting it.</param>
    /// <param name="c">First element of the block.</param>
    /// <param name="stride">Elements between rows of C.</param>
    static abstract void Multiply(float* a, float* b, int k, float alpha, bool accumulate, float* c, long stride);
}
