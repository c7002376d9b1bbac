using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>What this processor can do at best, measured in the run whose figures are held against it.</summary>
/// <param name="Threads">Threads that were used, here and by what is measured.</param>
/// <param name="Fma">float32 multiply-adds, FLOP/s.</param>
/// <param name="BFloat16">Products of bfloat16 pairs on vectors, FLOP/s; null where there are none.</param>
/// <param name="Tile">Products of bfloat16 tiles, FLOP/s; null where there are none.</param>
/// <param name="Int8">Products of bytes on vectors, operations/s; null where there are none.</param>
/// <param name="Read">Reading memory, bytes/s.</param>
internal sealed record MachineLimits(int Threads, double Fma, double? BFloat16, double? Tile, double? Int8, double Read)
{
    private const int Bursts = 600;
    private const int Passes = 16;
    private const long ReadBytes = 1L << 30;

    /// <summary>Peaks of floating-point products.</summary>
    public IReadOnlyList<(string Name, double Rate)> Peaks { get; } =
    [
        ("FMA peak", Fma),
        .. (BFloat16 is { } vectors ? [("BF16 peak", vectors)] : (ReadOnlySpan<(string, double)>)[]),
        .. (Tile is { } tiles ? [("tile peak", tiles)] : (ReadOnlySpan<(string, double)>)[]),
    ];

    /// <summary>Measures everything; takes about three seconds.</summary>
    /// <param name="threads">Threads at once.</param>
    /// <param name="quick">A tenth of the measurements.</param>
    public static MachineLimits Measure(int threads, bool quick)
    {
        int bursts = quick ? Bursts / 10 : Bursts;
        return new MachineLimits(
            threads,
            FmaPeak.Measure(threads, bursts),
            InstructionPeak.BFloat16(threads, bursts),
            TilePeak.BFloat16(threads, bursts),
            InstructionPeak.Int8(threads, bursts),
            ReadBandwidth.Measure(threads, quick ? ReadBytes / 8 : ReadBytes, quick ? 3 : Passes));
    }

    /// <summary>The highest peak that products of a precision can reach.</summary>
    public (string Name, double Rate) PeakOf(Precision precision) =>
        precision == Precision.Float32 ? Peaks[0] : Peaks.MaxBy(peak => peak.Rate);

    /// <summary>Says what was measured.</summary>
    public void Print()
    {
        Report.Line($"{ProcessorName.Read()}, {Threads} threads, tier {CpuBackend.SupportedTier}");
        string peaks = string.Join(", ", Peaks.Select(peak => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{peak.Name} {peak.Rate / 1e9:F0} GFLOP/s")));
        Report.Line($"limits: {peaks}{(Int8 is { } int8 ? FormattableString.Invariant($", VNNI peak {int8 / 1e9:F0} GOP/s") : "")}, read {Read / 1e9:F1} GB/s");
    }
}
