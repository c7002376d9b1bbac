namespace PureQLora.Core;

/// <summary>How an axis becomes one element.</summary>
public enum ReductionKind
{
    /// <summary>Σ x; 0 over an empty axis.</summary>
    Sum,

    /// <summary>Σ x / extent.</summary>
    Mean,

    /// <summary>The largest element; the gradient goes to the first of equals.</summary>
    Max,
}
