using System.Numerics.Tensors;

namespace PureQLora.Models;

/// <summary>Scales that are quantised themselves: scale = map[code] · absmax of its block of 256 + offset.</summary>
/// <remarks>Double quantisation, Dettmers et al., arXiv:2305.14314, section 3; the arithmetic is float32 as in bitsandbytes.</remarks>
/// <param name="Codes">[scales]</param>
/// <param name="Absmax">[ceil(scales / block)]</param>
/// <param name="Map">[256]</param>
/// <param name="Offset">Mean of the scales.</param>
/// <param name="BlockSize">Scales of a block.</param>
public sealed record NestedScales(byte[] Codes, float[] Absmax, float[] Map, float Offset, int BlockSize)
{
    /// <summary>Scales of a block when quantising.</summary>
    public const int DefaultBlockSize = 256;

    /// <summary>Quantises scales around their mean.</summary>
    /// <param name="scales">Finite, at least one.</param>
    public static NestedScales Quantize(ReadOnlySpan<float> scales)
    {
        double sum = 0;
        foreach (float scale in scales)
        {
            sum += scale;
        }

        float offset = (float)(sum / scales.Length);
        byte[] codes = new byte[scales.Length];
        float[] absmax = new float[(scales.Length + DefaultBlockSize - 1) / DefaultBlockSize];
        float[] centred = new float[scales.Length];
        TensorPrimitives.Subtract(scales, offset, centred);
        for (int block = 0; block < absmax.Length; block++)
        {
            int first = block * DefaultBlockSize;
            Span<float> values = centred.AsSpan(first, Math.Min(DefaultBlockSize, scales.Length - first));
            absmax[block] = Math.Abs(TensorPrimitives.MaxMagnitude<float>(values));
            for (int i = 0; i < values.Length; i++)
            {
                codes[first + i] = DynamicMap.Nearest(absmax[block] == 0 ? 0 : values[i] / absmax[block]);
            }
        }

        return new NestedScales(codes, absmax, [.. DynamicMap.Values], offset, DefaultBlockSize);
    }

    /// <summary>The scales that the codes stand for.</summary>
    public float[] Dequantize()
    {
        float[] scales = new float[Codes.Length];
        for (int i = 0; i < scales.Length; i++)
        {
            float product = Map[Codes[i]] * Absmax[i / BlockSize];
            scales[i] = product + Offset;
        }

        return scales;
    }
}
