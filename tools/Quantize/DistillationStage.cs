using System.CommandLine;
using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Quantize;

/// <summary>Trains the group scales after quantising, against the model in full precision.</summary>
internal static class DistillationStage
{
    public static readonly Option<int?> Steps = new("--distill")
    {
        Description = "Steps in which the scales are trained end to end to predict what the model in full precision does, stopped on held-out samples; 200 is usual. The file stays a plain GPTQ file.",
    };

    /// <summary>Steps asked for; 0 for none.</summary>
    public static int ParseSteps(ParseResult result)
    {
        int? steps = result.GetValue(Steps);
        if (steps is { } given)
        {
            new DistillationOptions { Steps = given }.Validate();
        }

        return steps ?? 0;
    }

    /// <summary>Distils in place.</summary>
    public static DistillationResult Run(ModelFolder folder, IBackend backend, IReadOnlyList<int[]> calibration, DistillationOptions options)
    {
        using ModelFolder teacher = ModelFolder.Open(folder.Path);
        return ConsoleProgress.Run("distilling", options.Steps, progress => ScaleDistillation.Run(
            folder.Model,
            teacher.Model,
            backend,
            calibration,
            options,
            new SynchronousProgress<DistillationStep>(step =>
            {
                if (step.HeldOut is { } heldOut)
                {
                    progress.Line(string.Create(CultureInfo.InvariantCulture, $"step {step.Step}  divergence {step.Divergence:F5}, held-out {heldOut:F5}"));
                }

                progress.Update(step.Step);
            }),
            ToolProgram.Cancellation));
    }
}
