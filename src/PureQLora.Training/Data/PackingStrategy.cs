namespace PureQLora.Training;

/// <summary>How samples of different lengths share rows of one length.</summary>
public enum PackingStrategy
{
    /// <summary>Best fit, decreasing: longest first, each into the fullest row that has room; too long ones are cut.</summary>
    BestFit,

    /// <summary>As <see cref="BestFit"/>, but too long ones are split into pieces and nothing is lost.</summary>
    BestFitSplit,

    /// <summary>One stream of all tokens, cut into rows.</summary>
    Wrapped,
}
