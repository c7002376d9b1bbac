namespace ILGPU;

/// <summary>An index or extent along three axes.</summary>
/// <param name="X">Along x, the fastest.</param>
/// <param name="Y">Along y.</param>
/// <param name="Z">Along z.</param>
public readonly record struct Index3D(int X, int Y, int Z)
{
    /// <summary>Number of elements of an extent.</summary>
    public int Size => X * Y * Z;

    /// <summary>The same numbers as an index.</summary>
    public static implicit operator Index3D((int X, int Y, int Z) values) => new(values.X, values.Y, values.Z);

    /// <summary>(x, y, z)</summary>
    public override string ToString() => $"({X}, {Y}, {Z})";

    /// <summary>The index of an element of this extent, counted along x first.</summary>
    internal Index3D Reconstruct(int linear) => new(linear % X, linear / X % Y, linear / X / Y);
}
