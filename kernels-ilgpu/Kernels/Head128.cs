namespace PureQLora.Kernels;

/// <summary>Heads of up to 128 numbers.</summary>
public readonly struct Head128 : IHeadSize
{
    /// <inheritdoc/>
    public static int Size => 128;

    /// <inheritdoc/>
    public static int ChunkShift => 4;
}
