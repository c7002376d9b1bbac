using System.Globalization;
using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>How group scales are distilled.</summary>
public sealed record DistillationOptions
{
    /// <summary>Most steps that are any use to ask for.</summary>
    public const int MostSteps = 100_000;

    /// <summary>Optimiser steps at most; held-out text may stop it earlier.</summary>
    public int Steps { get; init; } = 200;

    /// <summary>
    /// Highest rate, as a share of a layer's mean scale: 1 / 300 divided by the bits unless it is set. Adam moves each scale by about its
    /// rate in a step, so this is how much of itself a scale may change; wide steps of few bits leave more to mend.
    /// </summary>
    public double? RelativeRate { get; init; }

    /// <summary>Calibration tokens of a step, made of whole samples; a longer sample makes a step of its own.</summary>
    public int StepTokens { get; init; } = 2048;

    /// <summary>One calibration sample in so many is held out: its divergence says which state is kept.</summary>
    public int HeldOutPeriod { get; init; } = 16;

    /// <summary>Steps between two looks at the held-out samples; null: a sixteenth of all steps.</summary>
    public int? Interval { get; init; }

    /// <summary>Looks without improvement after which training stops.</summary>
    public int Patience { get; init; } = 4;

    /// <summary>Chooses the order of the samples.</summary>
    public ulong Seed { get; init; }

    /// <summary>Rounding of the operands of matrix products, of teacher and student alike.</summary>
    public Precision Precision { get; init; }

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public void Validate()
    {
        Require(Steps is >= 1 and <= MostSteps, "number of steps", Steps, $"1 to {MostSteps}; 200 is usual");
        Require(RelativeRate is null or (> 0 and < 0.1), "relative rate", RelativeRate ?? 0, "above 0 and below 0.1; 0.001 is usual");
        Require(StepTokens >= 1, "number of tokens of a step", StepTokens, "1 or more; 2048 is usual");
        Require(HeldOutPeriod >= 2, "held-out period", HeldOutPeriod, "2 or more; 16 is usual");
        Require(Interval is null or >= 1, "interval", Interval ?? 0, "1 or more");
        Require(Patience >= 1, "patience", Patience, "1 or more; 4 is usual");
        if (Precision == Precision.Int8)
        {
            throw new UserErrorException("The precision of distillation is int8, allowed float32 and bfloat16; int8 is for decoding.");
        }
    }

    private static void Require(bool fulfilled, string option, IFormattable value, string allowed)
    {
        if (!fulfilled)
        {
            throw new UserErrorException($"The distillation's {option} is {value.ToString(null, CultureInfo.InvariantCulture)}, allowed {allowed}.");
        }
    }
}
