namespace PureQLora.Core;

/// <summary>Cosines and sines of the rotary position embedding for positions 0 … positions − 1, computed in float64 once.</summary>
/// <remarks>
/// Su et al., arXiv:2104.09864, eq. 15. Scaled variants (linear, llama3, yarn) differ in the inverse frequencies and the attention
/// factor alone.
/// </remarks>
public sealed class RotaryTable
{
    /// <summary>cos[p, i] = factor · cos(p · inverseFrequencies[i]); sin alike.</summary>
    /// <param name="inverseFrequencies">[headDim / 2], radians per position.</param>
    /// <param name="attentionFactor">Multiplies cosines and sines; 1 except for yarn.</param>
    /// <param name="positions">Number of positions, at least 1.</param>
    /// <exception cref="ArgumentException">There are no frequencies.</exception>
    public RotaryTable(ReadOnlySpan<double> inverseFrequencies, double attentionFactor, long positions)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(positions);
        if (inverseFrequencies.IsEmpty)
        {
            throw new ArgumentException("There are 0 inverse frequencies; a head of dimension D has D / 2.", nameof(inverseFrequencies));
        }

        int half = inverseFrequencies.Length;
        Cos = Tensor.Create(new Shape(positions, half));
        Sin = Tensor.Create(new Shape(positions, half));
        for (long position = 0; position < positions; position++)
        {
            Span<float> cos = Cos.ViewRows(position, 1).Floats;
            Span<float> sin = Sin.ViewRows(position, 1).Floats;
            for (int i = 0; i < half; i++)
            {
                (double s, double c) = Math.SinCos(position * inverseFrequencies[i]);
                (cos[i], sin[i]) = ((float)(c * attentionFactor), (float)(s * attentionFactor));
            }
        }
    }

    /// <summary>Float32 [positions, headDim / 2].</summary>
    public Tensor Cos { get; }

    /// <summary>Float32 [positions, headDim / 2].</summary>
    public Tensor Sin { get; }

    /// <summary>Number of positions; a position must be below it.</summary>
    public long Positions => Cos.Shape[0];

    /// <summary>Dimension of a head: two elements for each frequency.</summary>
    public long HeadDim => 2 * Cos.Shape[1];
}
