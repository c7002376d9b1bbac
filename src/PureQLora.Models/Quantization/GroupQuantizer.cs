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
        (double low, double high) = Range(group, options);
        double scale = Storable((high - low) / options.Levels, options);
        int zero = options.Symmetric ? (options.Levels + 1) / 2 : (int)Math.Clamp(Math.Round(-low / scale), 0, options.Levels);
        return new GroupQuantizer(scale, zero, options.Levels);
    }

    /// <summary>The range of a grid: that of the group and 0.</summary>
    public static (double Low, double High) Range(ReadOnlySpan<double> group, GptqOptions options)
    {
        double low = Math.Min(TensorPrimitives.Min(group), 0);
        double high = Math.Max(TensorPrimitives.Max(group), 0);
        if (options.Symmetric)
        {
            high = Math.Max(-low, high);
            low = -high;
        }

        return low == 0 && high == 0 ? (-1, 1) : (low, high);
    }

    /// <summary>A scale as codes are chosen for it: a float16 where the file's rounding is part of the problem.</summary>
    public static double Storable(double scale, GptqOptions options) =>
        // A scale of 0 would turn divisions into NaN, one of infinity the weights.
        options.Float16Scales ? (double)(Half)Math.Clamp(scale, (double)Half.Epsilon, (double)Half.MaxValue) : scale;

    /// <summary>The scale as it is stored; 0 would make no grid.</summary>
    public float StoredScale => Math.Max((float)Scale, float.Epsilon);

    /// <summary>The code of the nearest grid point; ties go to the even multiple of the scale.</summary>
    public byte Code(double weight) => (byte)Math.Clamp(Math.Round(weight / Scale) + Zero, 0, Levels);

    /// <summary>The value that a code stands for.</summary>
    public double Value(int code) => Scale * (code - Zero);
}
