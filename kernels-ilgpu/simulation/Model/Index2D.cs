namespace ILGPU;

/// <summary>An index or extent along two axes.</summary>
/// <param name="X">Along x.</param>
/// <param name="Y">Along y.</param>
public readonly record struct Index2D(int X, int Y)
{
    /// <summary>Number of elements of an extent.</summary>
    public int Size => X * Y;

    /// <summary>The same numbers as an index.</summary>
    public static implicit operator Index2D((int X, int Y) values) => new(values.X, values.Y);
}
