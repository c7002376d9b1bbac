namespace PureQLora.Models;

/// <summary>How codes are chosen.</summary>
public enum QuantizationMethod
{
    /// <summary>Error-compensating, with calibration data (arXiv:2210.17323).</summary>
    Gptq,

    /// <summary>Every weight to the nearest point of its grid; needs no data.</summary>
    RoundToNearest,

    /// <summary>Every weight to the nearest level of NormalFloat, in blocks; needs no data (<see cref="BlockwiseModelQuantizer"/>).</summary>
    Nf4,
}
