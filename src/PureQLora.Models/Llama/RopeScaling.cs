namespace PureQLora.Models;

/// <summary>How rotary frequencies are stretched for contexts longer than the pre-training's. A closed set: the nested records.</summary>
public abstract record RopeScaling
{
    private RopeScaling()
    {
    }

    /// <summary>The original frequencies.</summary>
    public static RopeScaling None { get; } = new Unscaled();

    /// <summary>The value of <c>rope_type</c>.</summary>
    public abstract string TypeName { get; }

    /// <summary>The original frequencies.</summary>
    public sealed record Unscaled : RopeScaling
    {
        /// <inheritdoc/>
        public override string TypeName => "default";
    }

    /// <summary>Position interpolation: all frequencies divided by the factor (Chen et al., arXiv:2306.15595).</summary>
    /// <param name="Factor">New length over old length.</param>
    public sealed record Linear(double Factor) : RopeScaling
    {
        /// <inheritdoc/>
        public override string TypeName => "linear";
    }

    /// <summary>Llama 3.1: long waves divided by the factor, short ones kept, a smooth passage between.</summary>
    /// <param name="Factor">Divisor of the low frequencies.</param>
    /// <param name="LowFrequencyFactor">Waves longer than original length over this are low frequencies.</param>
    /// <param name="HighFrequencyFactor">Waves shorter than original length over this are kept.</param>
    /// <param name="OriginalMaxPositions">Context length of the pre-training.</param>
    public sealed record Llama3(double Factor, double LowFrequencyFactor, double HighFrequencyFactor, int OriginalMaxPositions) : RopeScaling
    {
        /// <inheritdoc/>
        public override string TypeName => "llama3";
    }

    /// <summary>YaRN: interpolation by parts and a factor on cos and sin (Peng et al., arXiv:2309.00071).</summary>
    /// <param name="Factor">New length over old length.</param>
    /// <param name="OriginalMaxPositions">Context length of the pre-training.</param>
    public sealed record Yarn(double Factor, int OriginalMaxPositions) : RopeScaling
    {
        /// <inheritdoc/>
        public override string TypeName => "yarn";

        /// <summary>Dimensions that turn more often than this in the original context are kept.</summary>
        public double BetaFast { get; init; } = 32;

        /// <summary>Dimensions that turn less often than this are fully interpolated.</summary>
        public double BetaSlow { get; init; } = 1;

        /// <summary>Factor of cos and sin; null for 0.1 ln(factor) + 1, or the quotient of the two below.</summary>
        public double? AttentionFactor { get; init; }

        /// <summary>Numerator's weight of the default attention factor; counts only together with <see cref="MScaleAllDims"/>.</summary>
        public double? MScale { get; init; }

        /// <summary>Denominator's weight of the default attention factor.</summary>
        public double? MScaleAllDims { get; init; }

        /// <summary>Rounds the ramp's ends to whole dimensions.</summary>
        public bool Truncate { get; init; } = true;
    }
}
