using System.Globalization;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Prints what was measured and what follows for the whole model.</summary>
/// <param name="shape">Dimensions.</param>
/// <param name="options">How they were.</param>
/// <param name="blocks">Blocks that were quantised.</param>
/// <param name="tokens">Calibration tokens.</param>
/// <param name="length">Tokens of a sample.</param>
/// <param name="peak">Float32 operations a second.</param>
internal sealed class QuantiseReport(QuantiseShape shape, GptqOptions options, int blocks, double tokens, double length, double peak)
{
    /// <summary>Prints a line for each stage of one block, its sum, and the plan.</summary>
    /// <param name="timings">Of all blocks, but for the output of the last.</param>
    /// <param name="lastOutput">That one.</param>
    /// <returns>Seconds of a block.</returns>
    public double Show(QuantizationTimings timings, TimeSpan lastOutput)
    {
        Report.Line($"{"stage, one block",-26}{"seconds",9}{"GFLOP",10}{"GFLOP/s",10}{"of peak",9}");
        double operations = 0;
        foreach (QuantizationStage stage in Enum.GetValues<QuantizationStage>())
        {
            TimeSpan time = timings[stage] + (stage == QuantizationStage.Output ? lastOutput : TimeSpan.Zero);
            if (time == TimeSpan.Zero)
            {
                continue;
            }

            double work = shape.Operations(stage, options, tokens, length);
            operations += work;
            Line(Name(stage), time.TotalSeconds / blocks, work);
        }

        double block = (timings.Total + lastOutput).TotalSeconds / blocks;
        Line("block", block, operations);
        double whole = block * shape.Layers;
        Report.Line($"whole model, {shape.Layers} blocks at this rate: {whole:F0} s ({whole / 60:F1} minutes), {operations * shape.Layers / 1e12:F0} TFLOP{(blocks == shape.Layers ? ", all of them run" : "")}");
        return block;
    }

    private void Line(string name, double seconds, double work)
    {
        string rate = work == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{work / 1e9,10:F0}{work / seconds / 1e9,10:F0}{work / seconds / peak,9:P0}");
        Report.Line($"{name,-26}{seconds,9:F2}{rate}");
    }

    private static string Name(QuantizationStage stage) => stage switch
    {
        QuantizationStage.Calibration => "calibration",
        QuantizationStage.Hessian => "Hessians",
        QuantizationStage.Nearest => "rounding and its loss",
        QuantizationStage.Factorisation => "factorisation, f64",
        QuantizationStage.Columns => "columns, f64",
        QuantizationStage.Packing => "packing",
        QuantizationStage.Unquantized => "unquantised model",
        QuantizationStage.Deviation => "deviations",
        QuantizationStage.Target => "targets, f64",
        QuantizationStage.Descent => "descent, f64",
        _ => "output",
    };
}
