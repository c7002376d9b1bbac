namespace PureQLora.Kernels;

/// <summary>Which way a product with a quantised weight goes, as a constant of a kernel.</summary>
public interface IProductPass
{
    /// <summary>x · Wᵀ, else dy · W.</summary>
    static abstract bool IsForward { get; }
}
