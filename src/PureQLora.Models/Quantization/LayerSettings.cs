namespace PureQLora.Models;

/// <summary>Bits and group size of one layer, where they differ from layer to layer.</summary>
/// <param name="Bits">2, 3, 4 or 8.</param>
/// <param name="GroupSize">Inputs that share a scale; −1: one group a row.</param>
public readonly record struct LayerSettings(int Bits, int GroupSize)
{
    /// <summary>Bits that a layer takes in the file: codes, and for each row and group a scale of 16 bits and a zero point.</summary>
    /// <param name="outDim">Output features.</param>
    /// <param name="inDim">Input features.</param>
    public long StoredBits(int outDim, int inDim)
    {
        long groups = GroupSize == -1 ? 1 : (inDim + (long)GroupSize - 1) / GroupSize;
        return outDim * ((long)inDim * Bits + (groups * (16 + Bits)));
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Bits} bits g{GroupSize}";
}
