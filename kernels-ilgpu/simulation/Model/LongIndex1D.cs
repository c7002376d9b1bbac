namespace ILGPU;

/// <summary>An index or extent along one axis, in 64 bits.</summary>
/// <param name="X">Along x.</param>
public readonly record struct LongIndex1D(long X)
{
    /// <summary>Number of elements of an extent.</summary>
    public long Size => X;

    /// <summary>The same number as an index.</summary>
    public static implicit operator LongIndex1D(long x) => new(x);

    /// <summary>The index as a number.</summary>
    public static implicit operator long(LongIndex1D index) => index.X;
}
