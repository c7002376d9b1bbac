using System.Globalization;
using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Rounds every weight to the nearest point of its group's grid, without calibration.</summary>
public static class RoundToNearestQuantizer
{
    private const int ChunkRows = 32;

    /// <summary>Quantises a weight matrix.</summary>
    /// <param name="weights">W, row-major. [rows, columns]</param>
    /// <param name="rows">Output features.</param>
    /// <param name="options">Bits, group size, symmetry and rounding of scales; the rest does not matter here.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <param name="backend">Gives the threads; null for the caller's.</param>
    /// <exception cref="UserErrorException">A weight is not finite, or an option is out of range.</exception>
    public static unsafe QuantizationResult Quantize(ReadOnlySpan<float> weights, int rows, GptqOptions options, string layer, CpuBackend? backend = null)
    {
        options.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfNotEqual(weights.Length % rows, 0);
        int columns = weights.Length / rows;
        int groups = options.GroupCount(columns);
        QuantizationResult result = new()
        {
            Rows = rows,
            Columns = columns,
            Options = options,
            Codes = new byte[weights.Length],
            Scales = new float[rows * groups],
            Zeros = new byte[rows * groups],
        };
        int bad = 0;
        fixed (float* pinned = weights)
        {
            float* w = pinned;
            (backend ?? SingleThread.Backend).For(rows, ChunkRows, (start, end) =>
            {
                ReadOnlySpan<float> chunk = new(w + (start * columns), (int)(end - start) * columns);
                if (!IsUsable(chunk, options))
                {
                    Interlocked.Exchange(ref bad, 1);
                    return;
                }

                var group = new double[options.GroupLength(columns)];
                for (int row = (int)start; row < end; row++)
                {
                    QuantizeRow(new ReadOnlySpan<float>(w + ((long)row * columns), columns), row, result, group);
                }
            });
        }

        return bad == 0 ? result : throw Damaged(weights, options, layer);
    }

    private static void QuantizeRow(ReadOnlySpan<float> weights, int row, QuantizationResult result, double[] group)
    {
        int groups = result.Groups;
        for (int g = 0; g < groups; g++)
        {
            int first = g * group.Length;
            Span<double> values = group.AsSpan(0, Math.Min(group.Length, weights.Length - first));
            TensorPrimitives.ConvertTruncating(weights.Slice(first, values.Length), values);
            GroupQuantizer grid = GroupQuantizer.FromWeights(values, result.Options);
            Span<byte> codes = result.Codes.AsSpan((row * weights.Length) + first, values.Length);
            for (int i = 0; i < codes.Length; i++)
            {
                codes[i] = grid.Code(values[i]);
            }

            result.Scales[(row * groups) + g] = grid.StoredScale;
            result.Zeros[(row * groups) + g] = (byte)grid.Zero;
        }
    }

    private static float Largest(GptqOptions options) => options.Float16Scales ? options.Levels * (float)Half.MaxValue / 2 : float.MaxValue / 2;

    // The largest with its sign; NaN if any weight is.
    private static bool IsUsable(ReadOnlySpan<float> weights, GptqOptions options) =>
        Math.Abs(TensorPrimitives.MaxMagnitude(weights)) <= Largest(options);

    private static UserErrorException Damaged(ReadOnlySpan<float> weights, GptqOptions options, string layer) => new(string.Create(
        CultureInfo.InvariantCulture,
        $"The weights of {layer} hold {TensorPrimitives.MaxMagnitude(weights)}, allowed are values from {-Largest(options):g3} to {Largest(options):g3}; the checkpoint is damaged, fetch it again."));
}
