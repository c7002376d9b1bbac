namespace PureQLora.Tools.Bench;

/// <summary>What the codes of a 4-bit weight stand for.</summary>
public enum WeightCodes
{
    /// <summary>Integers with a zero point.</summary>
    Int4,

    /// <summary>The levels of NormalFloat.</summary>
    Nf4,
}
