namespace PureQLora.Core;

/// <summary>
/// Float32 vectors of one width. Kernels are written once over this; the type parameter is a struct, so each width compiles to its
/// own straight code.
/// </summary>
/// <typeparam name="TVector">The vector.</typeparam>
internal unsafe interface ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>Elements of a vector.</summary>
    static abstract int Count { get; }

    static abstract TVector Load(float* source);

    static abstract void Store(TVector value, float* destination);

    static abstract TVector Broadcast(float value);

    static abstract TVector Add(TVector left, TVector right);

    static abstract TVector Subtract(TVector left, TVector right);

    static abstract TVector Multiply(TVector left, TVector right);

    static abstract TVector Divide(TVector left, TVector right);

    /// <summary>left · right + addend; fused where the processor can.</summary>
    static abstract TVector MultiplyAdd(TVector left, TVector right, TVector addend);

    /// <summary>The larger one; undefined which for NaN.</summary>
    static abstract TVector Max(TVector left, TVector right);

    static abstract TVector Abs(TVector value);

    static abstract float Sum(TVector value);

    /// <summary>Adds each lane to a float64 sum.</summary>
    static abstract void AddTo(TVector value, double* sums);

    /// <summary>Lane by lane: value &lt; bound ? ifLess : otherwise; NaN is not less.</summary>
    static abstract TVector SelectLess(TVector value, TVector bound, TVector ifLess, TVector otherwise);

    /// <summary>Adds the low bits of <paramref name="exponent"/>'s pattern to the exponent field of <paramref name="value"/>.</summary>
    static abstract TVector AddToExponent(TVector value, TVector exponent);

    /// <summary>Scores of one key for a vector of rows; −∞ in lanes whose row does not see the key.</summary>
    /// <param name="scores">Of this key.</param>
    /// <param name="rowIndices">Index of each lane's query.</param>
    /// <param name="rowSegments">Segment of each lane's query.</param>
    /// <param name="key">Index of the key.</param>
    /// <param name="segment">Segment of the key.</param>
    /// <param name="window">A query sees this many keys, itself included.</param>
    static abstract TVector MaskInvisible(TVector scores, int* rowIndices, int* rowSegments, int key, int segment, int window);
}
