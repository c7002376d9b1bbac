namespace PureQLora.Models;

/// <summary>What GPTQ does beyond the published algorithm to lose less, in the same file format. Each part works without the others.</summary>
[Flags]
public enum Refinements
{
    /// <summary>GPTQ as published.</summary>
    None = 0,

    /// <summary>Grids are searched among shrunken ranges and shifted zero points, weighted by the Hessian's diagonal.</summary>
    Search = 1,

    /// <summary>q, k, v; o; gate, up; down are calibrated after the earlier ones of their block are quantised.</summary>
    Sequential = 2,

    /// <summary>Layers aim at what the unquantised model puts out, not at their own weights.</summary>
    Target = 4,

    /// <summary>Afterwards scales and codes are improved one after the other.</summary>
    Descent = 8,

    /// <summary>Everything.</summary>
    All = Search | Sequential | Target | Descent,
}
