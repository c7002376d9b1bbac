namespace PureQLora.Kernels;

/// <summary>A padded head dimension as a constant of a kernel.</summary>
public interface IHeadSize
{
    /// <summary>Numbers of a head, a multiple of 64.</summary>
    static abstract int Size { get; }

    /// <summary>Logarithm to base 2 of the chunks of a head, eight numbers each.</summary>
    static abstract int ChunkShift { get; }
}
