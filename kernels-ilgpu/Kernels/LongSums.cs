using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// Sums that are added to float32 numbers, each over many terms: a tree, for a sum in a row would lose small terms beside a large sum, and keep
/// one thread busy. A thread adds up in float64 at most <see cref="RunLength"/> terms, a run; the next launch takes what the runs made as its
/// terms, until one run is all. The order depends on the number of terms alone.
/// </summary>
/// <param name="Runs">Runs of each sum: run r has the terms r, r + Runs, …</param>
/// <param name="Count">Sums.</param>
/// <param name="OfRuns">[Runs, Count], what the runs make; a stand-in where there is one.</param>
/// <param name="Totals">[Count], added to by the last run.</param>
public readonly record struct LongSums(int Runs, int Count, ArrayView<double> OfRuns, ArrayView<float> Totals)
{
    /// <summary>Terms that one thread adds up.</summary>
    public const int RunLength = 64;

    /// <summary>Runs of a sum.</summary>
    /// <param name="terms">At least 1.</param>
    public static int RunsOf(int terms) => ((terms - 1) / RunLength) + 1;

    /// <summary>Hands on what a run makes.</summary>
    /// <param name="run">Which of the sum.</param>
    /// <param name="index">Which sum.</param>
    /// <param name="sum">Of the run's terms.</param>
    public void Store(int run, int index, double sum)
    {
        if (Runs == 1)
        {
            ArrayView<float> totals = Totals;
            totals[index] = (float)(totals[index] + sum);
        }
        else
        {
            ArrayView<double> ofRuns = OfRuns;
            ofRuns[(run * Count) + index] = sum;
        }
    }
}
