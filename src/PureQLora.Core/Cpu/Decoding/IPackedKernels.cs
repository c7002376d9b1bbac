namespace PureQLora.Core;

/// <summary>A family of assembled kernels for few rows of x times four rows of packed codes.</summary>
internal unsafe interface IPackedKernels
{
    /// <summary>Rows of x that a kernel takes at most: more sums do not fit the registers.</summary>
    const int MostRows = 4;

    /// <summary>True where the family reads such a weight.</summary>
    static abstract bool Fits(in PackedRows rows);

    /// <summary>Bytes of a block of 128 columns of <paramref name="count"/> rows of x.</summary>
    static abstract int BlockBytes(int count);

    /// <summary>Floats that a kernel writes to <see cref="PackedArguments.Sums"/>.</summary>
    static abstract int SumsLength(int count);

    /// <summary>Rounds and arranges rows of x, padded with zeros to whole blocks.</summary>
    static abstract void Arrange(float* x, long stride, int count, int columns, int bits, byte* target);

    /// <summary>sums(m, r) = x(m) · w(r).</summary>
    /// <param name="count">Rows of x, 1 to <see cref="MostRows"/>.</param>
    /// <param name="bits">Of a code.</param>
    /// <param name="arguments">Operands.</param>
    /// <param name="sums">[count, 4]</param>
    static abstract void Run(int count, int bits, PackedArguments* arguments, float* sums);
}
