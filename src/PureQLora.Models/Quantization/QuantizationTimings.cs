using System.Diagnostics;

namespace PureQLora.Models;

/// <summary>Time by stage, for benchmarks and reports.</summary>
public sealed class QuantizationTimings
{
    private readonly TimeSpan[] _times = new TimeSpan[Enum.GetValues<QuantizationStage>().Length];

    /// <summary>Time of a stage so far.</summary>
    public TimeSpan this[QuantizationStage stage] => _times[(int)stage];

    /// <summary>Time of all stages.</summary>
    public TimeSpan Total => TimeSpan.FromTicks(_times.Sum(time => time.Ticks));

    /// <summary>Counts the time since a timestamp for a stage.</summary>
    internal void Add(QuantizationStage stage, long started) => _times[(int)stage] += Stopwatch.GetElapsedTime(started);

    /// <summary>Takes back time that a stage inside another has counted as its own.</summary>
    internal void Subtract(QuantizationStage stage, TimeSpan time) => _times[(int)stage] -= time;
}
