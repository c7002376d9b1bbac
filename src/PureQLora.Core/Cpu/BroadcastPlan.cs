namespace PureQLora.Core;

/// <summary>
/// How to walk a result and two operands that are repeated along some axes: as rows of the innermost axis, after neighbouring axes
/// that all three walk alike are joined. Equal shapes become one row; [rows, n] with [n] stays rows of n.
/// </summary>
internal unsafe struct BroadcastPlan
{
    private const int MaxRank = 4;

    private fixed long _extents[MaxRank];
    private fixed long _stridesA[MaxRank];
    private fixed long _stridesB[MaxRank];
    private readonly int _rank;

    public BroadcastPlan(Shape y, Shape a, Shape b)
    {
        int rank = 0;
        (long strideA, long strideB) = (1, 1);
        for (int fromEnd = 1; fromEnd <= y.Rank; fromEnd++)
        {
            long extent = y[-fromEnd];
            long extentA = fromEnd <= a.Rank ? a[-fromEnd] : 1;
            long extentB = fromEnd <= b.Rank ? b[-fromEnd] : 1;
            if (extent != 1)
            {
                // Innermost first; axis rank − 1 is the one just inside.
                long stepA = extentA == 1 ? 0 : strideA;
                long stepB = extentB == 1 ? 0 : strideB;
                if (rank > 0 && stepA == _stridesA[rank - 1] * _extents[rank - 1] && stepB == _stridesB[rank - 1] * _extents[rank - 1])
                {
                    _extents[rank - 1] *= extent;
                }
                else
                {
                    (_extents[rank], _stridesA[rank], _stridesB[rank]) = (extent, stepA, stepB);
                    rank++;
                }
            }

            strideA *= extentA;
            strideB *= extentB;
        }

        if (rank == 0)
        {
            (_extents[0], _stridesA[0], _stridesB[0]) = (1, 1, 1);
            rank = 1;
        }

        _rank = rank;
        Rows = 1;
        for (int i = 1; i < rank; i++)
        {
            Rows *= _extents[i];
        }
    }

    /// <summary>Number of rows of the result.</summary>
    public long Rows { get; }

    /// <summary>Elements of a row.</summary>
    public readonly long Width => _extents[0];

    /// <summary>True where a walks along the row; false where one element of it serves the whole row.</summary>
    public readonly bool WalksA => _stridesA[0] != 0;

    /// <summary>True where b walks along the row.</summary>
    public readonly bool WalksB => _stridesB[0] != 0;

    /// <summary>First elements of both operands for a row.</summary>
    public readonly (long A, long B) Offsets(long row)
    {
        (long a, long b) = (0, 0);
        for (int i = 1; i < _rank; i++)
        {
            long index = row % _extents[i];
            row /= _extents[i];
            a += index * _stridesA[i];
            b += index * _stridesB[i];
        }

        return (a, b);
    }
}
