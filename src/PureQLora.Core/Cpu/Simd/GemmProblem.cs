namespace PureQLora.Core;

/// <summary>c = alpha · (first + second), where the second term is usually empty; an adapter's branch is one.</summary>
internal unsafe struct GemmProblem
{
    public GemmTerm First;
    public GemmTerm Second;
    public Precision Precision;
    public bool Accumulate;
    public float Alpha;
    public long M;
    public long N;
    public float* C;

    /// <summary>Distance of two rows of c.</summary>
    public long RowStride;

    /// <summary>Distance of two columns of c: 1, unless the product was turned round.</summary>
    public long ColumnStride;

    /// <summary>The same product as cᵀ = rightᵀ · leftᵀ.</summary>
    public readonly GemmProblem Turned()
    {
        GemmProblem turned = this;
        (turned.First, turned.Second) = (First.Turned(), Second.Turned());
        (turned.M, turned.N) = (N, M);
        (turned.RowStride, turned.ColumnStride) = (ColumnStride, RowStride);
        return turned;
    }

    /// <summary>Writes sums to a row of c from a column on, or adds them.</summary>
    public readonly void Store(long row, long column, int count, float* sums)
    {
        float* c = C + (row * RowStride) + (column * ColumnStride);
        for (int j = 0; j < count; j++, c += ColumnStride)
        {
            float value = Alpha * sums[j];
            *c = Accumulate ? *c + value : value;
        }
    }

    /// <summary>Writes four sums to columns of c that lie <paramref name="step"/> apart, or adds them.</summary>
    public readonly void StoreQuad(long row, long column, long step, System.Runtime.Intrinsics.Vector128<float> sums)
    {
        float* c = C + (row * RowStride) + (column * ColumnStride);
        for (int j = 0; j < 4; j++, c += step * ColumnStride)
        {
            float value = Alpha * sums[j];
            *c = Accumulate ? *c + value : value;
        }
    }
}
