namespace PureQLora.Kernels;

/// <summary>How a reduction joins what two threads have.</summary>
/// <typeparam name="T">What they have.</typeparam>
internal interface IReduction<T>
    where T : unmanaged
{
    /// <summary>Over the 32 threads of a warp; every thread gets it.</summary>
    static abstract T OverWarp(T value);

    /// <summary>Of two.</summary>
    static abstract T Join(T a, T b);
}
