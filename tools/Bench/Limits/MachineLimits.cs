using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>What this processor can do at best, measured in the run whose figures are held against it.</summary>
/// <param name="Threads">Threads that were used, here and by what is measured.</param>
/// <param name="Fma">float32 multiply-adds, FLOP/s.</param>
/// <param name="Read">Reading memory, bytes/s.</param>
internal sealed record MachineLimits(int Threads, double Fma, double Read)
{
    private const int Bursts = 600;
    private const int Passes = 16;

    /// <summary>Measures everything; takes about two seconds.</summary>
    /// <param name="threads">Threads at once.</param>
    /// <param name="quick">A tenth of the measurements.</param>
    public static MachineLimits Measure(int threads, bool quick)
    {
        int bursts = quick ? Bursts / 10 : Bursts;
        return new MachineLimits(threads, FmaPeak.Measure(threads, bursts), ReadBandwidth.Measure(threads, quick ? 3 : Passes));
    }

    /// <summary>Peaks of arithmetic that training can use, the slowest first.</summary>
    public IReadOnlyList<(string Name, double Rate)> Peaks => [("FMA peak", Fma)];

    /// <summary>Says what was measured.</summary>
    public void Print()
    {
        Report.Line($"{ProcessorName.Read()}, {Threads} threads, vectors: {CpuBackend.SupportedLevel}");
        Report.Line($"limits: FMA float32 {Fma / 1e9:F0} GFLOP/s; read {Read / 1e9:F1} GB/s");
    }
}
