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
}
