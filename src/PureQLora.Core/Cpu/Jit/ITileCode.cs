namespace PureQLora.Core;

/// <summary>Assembled code that multiplies a panel of bfloat16 rows by a panel of 32 bfloat16 columns.</summary>
internal interface ITileCode
{
    /// <summary>Rows of the tallest tile.</summary>
    static abstract int TallestRows { get; }

    /// <summary>c = alpha · left · right, or c += that.</summary>
    /// <param name="height">Rows, 1 to <see cref="TallestRows"/>.</param>
    /// <param name="accumulate">Add to c.</param>
    /// <param name="arguments">Operands and result.</param>
    static abstract void Run(int height, bool accumulate, in TileArguments arguments);
}
