namespace PureQLora.Models;

/// <summary>
/// The 256 values of the signed 8-bit data type with a dynamic exponent: seven decades, each with twice the values of the one below it,
/// 0 and 1.
/// </summary>
/// <remarks>
/// Dettmers, arXiv:1511.04561, section 2; the rounding is that of bitsandbytes, whose float32 steps this follows bit by bit: midpoints of a
/// linear sequence that is counted from its nearer end, each with one rounding.
/// </remarks>
internal static class DynamicMap
{
    private const int Decades = 7;
    private const float Lowest = 0.1f;

    private static readonly float[] Map = Create();

    /// <summary>Ascending.</summary>
    public static ReadOnlySpan<float> Values => Map;

    /// <summary>The code next to a value; of two that are equally near, the lower.</summary>
    public static byte Nearest(float value)
    {
        int at = Array.BinarySearch(Map, value);
        if (at >= 0)
        {
            return (byte)at;
        }

        int above = ~at;
        if (above == 0 || above == Map.Length)
        {
            return (byte)Math.Min(above, Map.Length - 1);
        }

        return (byte)((double)value - Map[above - 1] <= (double)Map[above] - value ? above - 1 : above);
    }

    private static float[] Create()
    {
        List<float> values = [0f, 1f];
        for (int decade = 0; decade < Decades; decade++)
        {
            int intervals = 1 << decade;
            float step = (1f - Lowest) / intervals;
            float unit = (float)Math.Pow(10, decade - (Decades - 1));
            for (int i = 0; i < intervals; i++)
            {
                float value = unit * ((Boundary(i, intervals, step) + Boundary(i + 1, intervals, step)) / 2);
                values.Add(value);
                values.Add(-value);
            }
        }

        values.Sort();
        return [.. values];
    }

    private static float Boundary(int i, int intervals, float step) => i < (intervals + 1) / 2
        ? MathF.FusedMultiplyAdd(step, i, Lowest)
        : MathF.FusedMultiplyAdd(-step, intervals - i, 1f);
}
