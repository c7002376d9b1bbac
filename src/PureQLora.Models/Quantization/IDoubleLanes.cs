namespace PureQLora.Models;

/// <summary>Float64 vectors of one width; the type parameter is a struct, so each width compiles to its own straight code.</summary>
/// <typeparam name="TVector">The vector.</typeparam>
internal unsafe interface IDoubleLanes<TVector>
    where TVector : unmanaged
{
    /// <summary>Elements of a vector.</summary>
    static abstract int Count { get; }

    static abstract TVector Load(double* source);

    static abstract void Store(TVector value, double* destination);

    static abstract TVector Broadcast(double value);

    static abstract TVector Negate(TVector value);

    /// <summary>left · right + addend, rounded once.</summary>
    static abstract TVector MultiplyAdd(TVector left, TVector right, TVector addend);
}
