namespace PureQLora.Kernels;

/// <summary>Heads of up to 64 numbers.</summary>
public readonly struct Head64 : IHeadSize
{
    /// <inheritdoc/>
    public static int Size => 64;

    /// <inheritdoc/>
    public static int ChunkShift => 3;
}
