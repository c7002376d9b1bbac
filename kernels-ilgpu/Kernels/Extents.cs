namespace PureQLora.Kernels;

/// <summary>Four extents or strides, outermost first.</summary>
/// <param name="X">Outermost.</param>
/// <param name="Y">Second.</param>
/// <param name="Z">Third.</param>
/// <param name="W">Innermost.</param>
public readonly record struct Extents(int X, int Y, int Z, int W)
{
    /// <summary>Σ index · stride.</summary>
    public int Dot(Extents index) => (X * index.X) + (Y * index.Y) + (Z * index.Z) + (W * index.W);

    /// <summary>The index of an element of a row-major array of these extents.</summary>
    public Extents IndexOf(int element)
    {
        int w = element % W;
        int rest = element / W;
        int z = rest % Z;
        rest /= Z;
        return new Extents(rest / Y, rest % Y, z, w);
    }
}
