namespace ILGPU;

/// <summary>An index or extent along one axis.</summary>
/// <param name="X">Along x.</param>
public readonly record struct Index1D(int X)
{
    /// <summary>Number of elements of an extent.</summary>
    public int Size => X;

    /// <summary>The same number as an index.</summary>
    public static implicit operator Index1D(int x) => new(x);

    /// <summary>The index as a number.</summary>
    public static implicit operator int(Index1D index) => index.X;
}
