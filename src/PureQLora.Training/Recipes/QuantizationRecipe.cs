using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>How the base is quantised before training; a base that is quantised already is taken as it is.</summary>
public sealed record QuantizationRecipe
{
    /// <summary>Off trains LoRA on the weights as they are.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>GPTQ, or round-to-nearest.</summary>
    public QuantizationMethod Method { get; init; } = QuantizationMethod.Gptq;

    /// <summary>Bits of a code: 2, 3, 4 or 8.</summary>
    public int Bits { get; init; } = 4;

    /// <summary>Inputs that share a scale; −1: one group a row.</summary>
    public int GroupSize { get; init; } = 128;

    /// <summary>Mirrored grids.</summary>
    public bool Symmetric { get; init; }

    /// <summary>Columns by falling diagonal of the Hessian.</summary>
    public bool ActOrder { get; init; }

    /// <summary>Grids from the original weights.</summary>
    public bool StaticGroups { get; init; }

    /// <summary>Share of the mean diagonal added to the Hessian.</summary>
    public double Damping { get; init; } = 0.01;

    /// <summary><c>none</c>, <c>all</c>, or some of <c>order,search,sequential,target,descent</c>; GPTQ alone has them.</summary>
    public string Refine { get; init; } = "none";

    /// <summary>Short names of the layers; null: all linear layers of the blocks.</summary>
    public IReadOnlyList<string>? Targets { get; init; }

    /// <summary>Training samples that calibrate.</summary>
    public int CalibrationSamples { get; init; } = 128;

    /// <summary>Tokens of a calibration sample at most.</summary>
    public int CalibrationLength { get; init; } = 512;

    /// <summary>The same as the quantiser takes it.</summary>
    public GptqOptions ToOptions() => new GptqOptions
    {
        Bits = Bits,
        GroupSize = GroupSize,
        Symmetric = Symmetric,
        ActOrder = ActOrder,
        StaticGroups = StaticGroups,
        Damping = Damping,
    }.WithRefinements(Method == QuantizationMethod.Gptq ? Refine : "none");

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public void Validate()
    {
        ToOptions().Validate();
        if (Method == QuantizationMethod.Gptq && CalibrationSamples < 1)
        {
            throw new UserErrorException($"quantization.calibrationSamples is {CalibrationSamples}, allowed 1 or more; 128 is usual.");
        }

        if (CalibrationLength < 1)
        {
            throw new UserErrorException($"quantization.calibrationLength is {CalibrationLength}, allowed 1 or more; 512 is usual.");
        }
    }
}
