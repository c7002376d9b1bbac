using System.Numerics.Tensors;

namespace PureQLora.Models;

/// <summary>The grid of one group of weights: value = scale · (code − zero), code in [0, 2^bits − 1].</summary>
internal readonly record struct GroupQuantizer(double Scale, int Zero, int Levels)
{
    /// <summary>
    /// The grid that spans the group and 0. Asymmetric: scale = (max − min) / levels, zero = round(−min / scale). Symmetric: both ends at
    /// the largest magnitude, zero = 2^(bits − 1). A group of zeros spans [−1, 1].
    /// </summary>
    public static GroupQuantizer FromWeights(ReadOnlySpan<double> group, GptqOptions options)
    {
        double low = Math.Min(TensorPrimitives.Min(group), 0);
        double high = Math.Max(TensorPrimitives.Max(group), 0);
        if (options.Symmetric)
        {
            high = Math.Max(-low, high);
            low = -high;
        }

        if (low == 0 && high == 0)
        {
            (low, high) = (-1, 1);
        }

        double scale = (high - low) / options.Levels;
        if (options.Float16Scales)
        {
            // A scale of 0 would turn the division below into NaN, one of infinity the weights.
            scale = (double)(Half)Math.Clamp(scale, (double)Half.Epsilon, (double)Half.MaxValue);
        }

        int zero = options.Symmetric ? (options.Levels + 1) / 2 : (int)Math.Clamp(Math.Round(-low / scale), 0, options.Levels);
        return new GroupQuantizer(scale, zero, options.Levels);
    }

    /// <summary>The scale as it is stored; 0 would make no grid.</summary>
    public float StoredScale => Math.Max((float)Scale, float.Epsilon);

    /// <summary>The code of the nearest grid point; ties go to the even multiple of the scale.</summary>
    public byte Code(double weight) => (byte)Math.Clamp(Math.Round(weight / Scale) + Zero, 0, Levels);

    /// <summary>The value that a code stands for.</summary>
    public double Value(int code) => Scale * (code - Zero);
}
