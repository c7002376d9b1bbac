namespace PureQLora.Models;

/// <summary>Rotary frequencies of a model, in float64, as Hugging Face transformers computes them (<c>modeling_rope_utils.py</c>).</summary>
/// <param name="InverseFrequencies">[headDim / 2], radians a position: dimension pair i turns by position · InverseFrequencies[i].</param>
/// <param name="AttentionFactor">Factor of cos and sin; 1 but for YaRN.</param>
public sealed record RotaryFrequencies(double[] InverseFrequencies, double AttentionFactor)
{
    /// <summary>θ^(−2i / headDim), scaled as the configuration says.</summary>
    /// <remarks>Su et al., arXiv:2104.09864, section 3.2.2; for the scalings see <see cref="RopeScaling"/>.</remarks>
    public static RotaryFrequencies Compute(LlamaConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        double[] inverse = new double[config.HeadDim / 2];
        for (int i = 0; i < inverse.Length; i++)
        {
            inverse[i] = 1.0 / Math.Pow(config.RopeTheta, 2.0 * i / config.HeadDim);
        }

        double attentionFactor = 1;
        switch (config.RopeScaling)
        {
            case RopeScaling.Linear linear:
                Divide(inverse, linear.Factor);
                break;
            case RopeScaling.Llama3 llama3:
                Stretch(inverse, llama3);
                break;
            case RopeScaling.Yarn yarn:
                Stretch(inverse, yarn, config.RopeTheta, config.HeadDim);
                attentionFactor = AttentionFactorOf(yarn);
                break;
            default:
                break;
        }

        return new RotaryFrequencies(inverse, attentionFactor);
    }

    private static void Divide(double[] inverse, double factor)
    {
        for (int i = 0; i < inverse.Length; i++)
        {
            inverse[i] /= factor;
        }
    }

    private static void Stretch(double[] inverse, RopeScaling.Llama3 scaling)
    {
        double longest = scaling.OriginalMaxPositions / scaling.LowFrequencyFactor;
        double shortest = scaling.OriginalMaxPositions / scaling.HighFrequencyFactor;
        for (int i = 0; i < inverse.Length; i++)
        {
            double wavelength = 2 * Math.PI / inverse[i];
            if (wavelength > longest)
            {
                inverse[i] /= scaling.Factor;
            }
            else if (wavelength >= shortest)
            {
                double smooth = ((scaling.OriginalMaxPositions / wavelength) - scaling.LowFrequencyFactor)
                    / (scaling.HighFrequencyFactor - scaling.LowFrequencyFactor);
                inverse[i] = ((1 - smooth) * inverse[i] / scaling.Factor) + (smooth * inverse[i]);
            }
        }
    }

    private static void Stretch(double[] inverse, RopeScaling.Yarn scaling, double theta, int headDim)
    {
        double low = DimensionThatTurns(scaling.BetaFast);
        double high = DimensionThatTurns(scaling.BetaSlow);
        if (scaling.Truncate)
        {
            (low, high) = (Math.Floor(low), Math.Ceiling(high));
        }

        (low, high) = (Math.Max(low, 0), Math.Min(high, headDim - 1));
        if (low == high)
        {
            high += 0.001;
        }

        for (int i = 0; i < inverse.Length; i++)
        {
            double interpolated = Math.Clamp((i - low) / (high - low), 0, 1);
            inverse[i] = (inverse[i] / scaling.Factor * interpolated) + (inverse[i] * (1 - interpolated));
        }

        // The dimension that makes so many full turns within the original context.
        double DimensionThatTurns(double turns) =>
            headDim * Math.Log(scaling.OriginalMaxPositions / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    private static double AttentionFactorOf(RopeScaling.Yarn scaling)
    {
        if (scaling.AttentionFactor is { } given)
        {
            return given;
        }

        return scaling is { MScale: { } mscale and not 0, MScaleAllDims: { } all and not 0 }
            ? Magnitude(mscale) / Magnitude(all)
            : Magnitude(1);

        double Magnitude(double weight) => scaling.Factor <= 1 ? 1 : (0.1 * weight * Math.Log(scaling.Factor)) + 1;
    }
}
