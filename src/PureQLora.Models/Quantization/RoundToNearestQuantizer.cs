using System.Globalization;
using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Rounds every weight to the nearest point of its group's grid, without calibration.</summary>
public static class RoundToNearestQuantizer
{
    /// <summary>Quantises a weight matrix.</summary>
    /// <param name="weights">W, row-major. [rows, columns]</param>
    /// <param name="rows">Output features.</param>
    /// <param name="options">Bits, group size, symmetry and rounding of scales; the rest does not matter here.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <exception cref="UserErrorException">A weight is not finite, or an option is out of range.</exception>
    public static QuantizationResult Quantize(ReadOnlySpan<float> weights, int rows, GptqOptions options, string layer)
    {
        options.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(weights.Length % rows, 0);
        RequireUsable(weights, options, layer);

        int columns = weights.Length / rows;
        int groups = options.GroupCount(columns);
        int length = options.GroupLength(columns);
        var codes = new byte[weights.Length];
        var scales = new float[rows * groups];
        var zeros = new byte[rows * groups];
        var group = new double[length];
        for (int row = 0; row < rows; row++)
        {
            for (int g = 0; g < groups; g++)
            {
                int first = (row * columns) + (g * length);
                int width = Math.Min(length, columns - (g * length));
                TensorPrimitives.ConvertTruncating(weights.Slice(first, width), group);
                GroupQuantizer grid = GroupQuantizer.FromWeights(group.AsSpan(0, width), options);
                for (int i = 0; i < width; i++)
                {
                    codes[first + i] = grid.Code(group[i]);
                }

                scales[(row * groups) + g] = Math.Max((float)grid.Scale, float.Epsilon);
                zeros[(row * groups) + g] = (byte)grid.Zero;
            }
        }

        return new QuantizationResult { Rows = rows, Columns = columns, Options = options, Codes = codes, Scales = scales, Zeros = zeros };
    }

    private static void RequireUsable(ReadOnlySpan<float> weights, GptqOptions options, string layer)
    {
        float allowed = options.Float16Scales ? options.Levels * (float)Half.MaxValue / 2 : float.MaxValue / 2;
        float largest = TensorPrimitives.MaxMagnitude(weights); // with its sign; NaN if any weight is
        if (!(Math.Abs(largest) <= allowed))
        {
            throw new UserErrorException(string.Create(
                CultureInfo.InvariantCulture,
                $"The weights of {layer} hold {largest}, allowed are values from {-allowed:g3} to {allowed:g3}; the checkpoint is damaged, fetch it again."));
        }
    }
}
