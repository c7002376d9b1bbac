using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>How the base is quantised before training; a base that is quantised already is taken as it is.</summary>
public sealed record QuantizationRecipe
{
    /// <summary>Off trains LoRA on the weights as they are.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>GPTQ, round-to-nearest, or NF4, of which only <see cref="BlockSize"/>, <see cref="DoubleQuantization"/> and <see cref="Targets"/> matter.</summary>
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

    /// <summary>NF4: weights that share a scale.</summary>
    public int BlockSize { get; init; } = 64;

    /// <summary>NF4: scales are quantised as well.</summary>
    public bool DoubleQuantization { get; init; }

    /// <summary><c>none</c>, <c>all</c>, or some of <c>order,search,sequential,target,descent</c>; GPTQ alone has them.</summary>
    public string Refine { get; init; } = "none";

    /// <summary>Steps in which the group scales are distilled end to end after quantising; 0: none.</summary>
    public int DistillSteps { get; init; }

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

    /// <summary>The same as the quantiser of NF4 takes it.</summary>
    public BlockwiseOptions ToBlockwiseOptions() => new() { BlockSize = BlockSize, DoubleQuantization = DoubleQuantization };

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">A setting is out of range.</exception>
    public void Validate()
    {
        ToOptions().Validate();
        ToBlockwiseOptions().Validate();
        if (Method == QuantizationMethod.Nf4 && Bits != 4)
        {
            throw new UserErrorException($"quantization.bits is {Bits}, allowed with quantization.method nf4 is 4; leave it out, or take gptq.");
        }

        if (Method == QuantizationMethod.Nf4 && DistillSteps > 0)
        {
            throw new UserErrorException($"quantization.distillSteps is {DistillSteps}, but the scales of quantization.method nf4 are stored in another way than GPTQ's; use 0, or take gptq.");
        }

        if ((Method == QuantizationMethod.Gptq || DistillSteps > 0) && CalibrationSamples < 1)
        {
            throw new UserErrorException($"quantization.calibrationSamples is {CalibrationSamples}, allowed 1 or more; 128 is usual.");
        }

        if (DistillSteps is < 0 or > DistillationOptions.MostSteps)
        {
            throw new UserErrorException($"quantization.distillSteps is {DistillSteps}, allowed 0 (off) to {DistillationOptions.MostSteps}; 200 is usual.");
        }

        if (CalibrationLength < 1)
        {
            throw new UserErrorException($"quantization.calibrationLength is {CalibrationLength}, allowed 1 or more; 512 is usual.");
        }
    }
}
