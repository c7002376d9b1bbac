namespace PureQLora.Core;

/// <summary>Row-major extents of a tensor, one to four dimensions; an extent may be 0.</summary>
public readonly record struct Shape
{
    private readonly long _d0;
    private readonly long _d1;
    private readonly long _d2;
    private readonly long _d3;

    /// <summary>A vector.</summary>
    public Shape(long d0)
        : this(1, d0, 1, 1, 1)
    {
    }

    /// <summary>A matrix.</summary>
    public Shape(long d0, long d1)
        : this(2, d0, d1, 1, 1)
    {
    }

    /// <summary>Three dimensions.</summary>
    public Shape(long d0, long d1, long d2)
        : this(3, d0, d1, d2, 1)
    {
    }

    /// <summary>Four dimensions.</summary>
    public Shape(long d0, long d1, long d2, long d3)
        : this(4, d0, d1, d2, d3)
    {
    }

    /// <summary>From a list of one to four extents.</summary>
    /// <exception cref="ArgumentException">More than four dimensions, or none.</exception>
    public Shape(ReadOnlySpan<long> extents)
        : this(extents.Length, At(extents, 0), At(extents, 1), At(extents, 2), At(extents, 3))
    {
    }

    private Shape(int rank, long d0, long d1, long d2, long d3)
    {
        if (rank is < 1 or > 4)
        {
            throw new ArgumentException($"A shape has {rank} dimensions, allowed 1–4.", nameof(rank));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(d0);
        ArgumentOutOfRangeException.ThrowIfNegative(d1);
        ArgumentOutOfRangeException.ThrowIfNegative(d2);
        ArgumentOutOfRangeException.ThrowIfNegative(d3);
        (Rank, _d0, _d1, _d2, _d3) = (rank, d0, d1, d2, d3);
        Count = checked(d0 * d1 * d2 * d3);
    }

    /// <summary>Number of dimensions, 1 to 4.</summary>
    public int Rank { get; }

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>The last extent: the length of a row.</summary>
    public long Columns => this[Rank - 1];

    /// <summary>All leading dimensions folded into one; 1 for a vector.</summary>
    public long Rows => Rank switch { 1 => 1, 2 => _d0, 3 => _d0 * _d1, 4 => _d0 * _d1 * _d2, _ => 0 };

    /// <summary>One extent; a negative index counts from the end.</summary>
    public long this[int dimension] => (dimension < 0 ? dimension + Rank : dimension) switch
    {
        0 => _d0,
        1 when Rank > 1 => _d1,
        2 when Rank > 2 => _d2,
        3 when Rank > 3 => _d3,
        _ => throw new ArgumentOutOfRangeException(nameof(dimension), dimension, $"{this} has {Rank} dimensions."),
    };

    /// <summary>The same shape with another extent at one dimension.</summary>
    public Shape With(int dimension, long extent)
    {
        Span<long> extents = stackalloc long[Rank];
        CopyTo(extents);
        extents[dimension < 0 ? dimension + Rank : dimension] = extent;
        return new Shape(extents);
    }

    /// <summary>Writes the extents, outermost first.</summary>
    public void CopyTo(Span<long> extents)
    {
        for (int i = 0; i < Rank; i++)
        {
            extents[i] = this[i];
        }
    }

    /// <summary>The dimension index as 0 … Rank − 1; a negative one counts from the end.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such dimension.</exception>
    public int Axis(int dimension)
    {
        int axis = dimension < 0 ? dimension + Rank : dimension;
        return axis >= 0 && axis < Rank
            ? axis
            : throw new ArgumentOutOfRangeException(nameof(dimension), dimension, $"{this} has {Rank} dimensions.");
    }

    /// <summary>The shape seen as [outer, extent of the axis, inner].</summary>
    public (long Outer, long Extent, long Inner) Around(int axis)
    {
        (long outer, long inner) = (1, 1);
        for (int i = 0; i < Rank; i++)
        {
            if (i < axis)
            {
                outer *= this[i];
            }
            else if (i > axis)
            {
                inner *= this[i];
            }
        }

        return (outer, this[axis], inner);
    }

    /// <inheritdoc/>
    public override string ToString() => Rank switch
    {
        1 => $"[{_d0}]",
        2 => $"[{_d0}, {_d1}]",
        3 => $"[{_d0}, {_d1}, {_d2}]",
        4 => $"[{_d0}, {_d1}, {_d2}, {_d3}]",
        _ => "[]",
    };

    private static long At(ReadOnlySpan<long> extents, int index) => index < extents.Length ? extents[index] : 1;
}
