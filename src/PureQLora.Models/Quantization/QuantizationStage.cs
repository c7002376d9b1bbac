namespace PureQLora.Models;

/// <summary>What the time of a quantisation goes into.</summary>
public enum QuantizationStage
{
    /// <summary>Calibration data through the blocks as they were, up to the input of the last layer.</summary>
    Calibration,

    /// <summary>Sums of outer products of the layers' inputs.</summary>
    Hessian,

    /// <summary>Rounding to nearest and its loss, the yardstick.</summary>
    Nearest,

    /// <summary>Cholesky factorisation and triangular inverse.</summary>
    Factorisation,

    /// <summary>Codes, column by column, and the updates of the columns that follow.</summary>
    Columns,

    /// <summary>Packing of the codes.</summary>
    Packing,

    /// <summary>Calibration data through the quantised blocks, the input of the next.</summary>
    Output,

    /// <summary>Calibration data through the unquantised blocks.</summary>
    Unquantized,

    /// <summary>Sums of products of the deviation from the unquantised model.</summary>
    Deviation,

    /// <summary>What the layers shall aim at.</summary>
    Target,

    /// <summary>Scales and codes, improved in turn.</summary>
    Descent,
}
