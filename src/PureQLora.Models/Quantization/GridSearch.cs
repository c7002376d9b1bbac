using System.Runtime.Intrinsics;

namespace PureQLora.Models;

/// <summary>
/// The grid of a group that minimises Σ h_j (w_j − q_j)², h the importance of a column: the range of the weights shrunk by 17 factors from
/// 1 to 0.6, each with its zero point and the two beside it.
/// </summary>
/// <remarks>
/// Without shrinking or shifting it is <see cref="GroupQuantizer.FromWeights"/>, so the sum is never more than that grid's. Sums run in eight
/// lanes whatever the processor's vectors, so the choice is the same everywhere.
/// </remarks>
internal static class GridSearch
{
    private const int Shrinks = 17;
    private const double ShrinkStep = 0.025;
    private const int Lanes = 8;

    /// <summary>Searches a grid.</summary>
    /// <param name="group">Weights of the group.</param>
    /// <param name="importance">Non-negative, one for each weight.</param>
    /// <param name="options">Bits, symmetry, rounding of scales.</param>
    public static GroupQuantizer Find(ReadOnlySpan<double> group, ReadOnlySpan<double> importance, GptqOptions options)
    {
        (double low, double high) = GroupQuantizer.Range(group, options);
        GroupQuantizer best = GroupQuantizer.FromWeights(group, options);
        double least = double.PositiveInfinity;
        Span<double> errors = stackalloc double[3];
        for (int i = 0; i < Shrinks; i++)
        {
            double shrink = 1 - (i * ShrinkStep);
            double scale = GroupQuantizer.Storable((high - low) * shrink / options.Levels, options);
            int zero = options.Symmetric ? best.Zero : (int)Math.Clamp(Math.Round(-low * shrink / scale), 0, options.Levels);

            // First the zero point as it is: where several are equal, the simplest grid stays.
            ReadOnlySpan<int> zeros = options.Symmetric ? [zero] : [zero, Math.Max(zero - 1, 0), Math.Min(zero + 1, options.Levels)];
            Errors(group, importance, scale, zeros, options.Levels, errors);
            for (int k = 0; k < zeros.Length; k++)
            {
                if (errors[k] < least)
                {
                    (least, best) = (errors[k], new GroupQuantizer(scale, zeros[k], options.Levels));
                }
            }
        }

        return best;
    }

    /// <summary>Σ h_j (w_j − q_j)² for one scale and up to three zero points.</summary>
    private static void Errors(ReadOnlySpan<double> group, ReadOnlySpan<double> importance, double scale, ReadOnlySpan<int> zeros, int levels, Span<double> errors)
    {
        Vector512<double> step = Vector512.Create(scale);
        Vector512<double> sum0 = Vector512<double>.Zero, sum1 = sum0, sum2 = sum0;
        (int zero1, int zero2) = (zeros[zeros.Length > 1 ? 1 : 0], zeros[zeros.Length > 2 ? 2 : 0]);
        (Vector512<double> low0, Vector512<double> high0) = Ends(zeros[0], levels);
        (Vector512<double> low1, Vector512<double> high1) = Ends(zero1, levels);
        (Vector512<double> low2, Vector512<double> high2) = Ends(zero2, levels);
        for (int j = 0; j < group.Length; j += Lanes)
        {
            Vector512<double> w = Load(group[j..]);
            Vector512<double> h = Load(importance[j..]);
            Vector512<double> multiple = Vector512.Round(w / step);
            sum0 = Add(sum0, w, h, multiple, step, low0, high0);
            sum1 = Add(sum1, w, h, multiple, step, low1, high1);
            sum2 = Add(sum2, w, h, multiple, step, low2, high2);
        }

        (errors[0], errors[1], errors[2]) = (Vector512.Sum(sum0), Vector512.Sum(sum1), Vector512.Sum(sum2));
    }

    /// <summary>Eight numbers, or those that are left and zeros, which count nothing.</summary>
    private static Vector512<double> Load(ReadOnlySpan<double> values)
    {
        if (values.Length >= Lanes)
        {
            return Vector512.Create(values);
        }

        Span<double> padded = stackalloc double[Lanes];
        padded.Clear();
        values.CopyTo(padded);
        return Vector512.Create<double>(padded);
    }

    private static (Vector512<double> Low, Vector512<double> High) Ends(int zero, int levels) =>
        (Vector512.Create((double)-zero), Vector512.Create((double)(levels - zero)));

    private static Vector512<double> Add(
        Vector512<double> sum, Vector512<double> w, Vector512<double> h, Vector512<double> multiple, Vector512<double> step, Vector512<double> low, Vector512<double> high)
    {
        Vector512<double> error = Vector512.FusedMultiplyAdd(-step, Vector512.Min(Vector512.Max(multiple, low), high), w);
        return Vector512.FusedMultiplyAdd(h * error, error, sum);
    }
}
