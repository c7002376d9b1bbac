using System.Globalization;

namespace PureQLora.Training;

/// <summary>Share of correct answers with its standard error.</summary>
/// <param name="Correct">Number of correct answers.</param>
/// <param name="Count">Number of answers.</param>
/// <param name="Mean">Correct / Count; 0 for no answers.</param>
/// <param name="StandardError">
/// sqrt(Σ(x − mean)² / (n − 1)) / sqrt(n), as lm-evaluation-harness computes it for a mean; null for fewer than two answers.
/// </param>
public sealed record Accuracy(int Correct, int Count, double Mean, double? StandardError)
{
    /// <summary>Accuracy of a list of verdicts.</summary>
    public static Accuracy Of(int correct, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(correct);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(correct, count);
        double mean = count == 0 ? 0 : (double)correct / count;
        if (count < 2)
        {
            return new(correct, count, mean, null);
        }

        // Added one by one: the harness does so, and its last digits come from the order.
        double squares = 0;
        for (int i = 0; i < count; i++)
        {
            double deviation = (i < correct ? 1 : 0) - mean;
            squares += deviation * deviation;
        }

        return new(correct, count, mean, Math.Sqrt(squares / (count - 1)) / Math.Sqrt(count));
    }

    /// <summary>Mean ± standard error with four decimals each, as the harness prints them.</summary>
    public override string ToString() => StandardError is { } error ? $"{FourDecimals(Mean)} ± {FourDecimals(error)}" : FourDecimals(Mean);

    /// <summary>Four decimals, ties to even as C's printf has them; only multiples of 1/32 can lie on a tie.</summary>
    private static string FourDecimals(double value) => value * 32 == Math.Floor(value * 32)
        ? Math.Round((decimal)value, 4, MidpointRounding.ToEven).ToString("F4", CultureInfo.InvariantCulture)
        : value.ToString("F4", CultureInfo.InvariantCulture);
}
