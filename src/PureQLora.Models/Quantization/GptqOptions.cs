using System.Globalization;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>How weights become integers. The defaults are those of <c>tools/Quantize</c>.</summary>
public sealed record GptqOptions
{
    /// <summary>Bits of a code: 2, 3, 4 or 8.</summary>
    public int Bits { get; init; } = 4;

    /// <summary>Input columns that share a scale and a zero point; −1: one group for each row.</summary>
    public int GroupSize { get; init; } = 128;

    /// <summary>Grids mirrored around 0 with the zero point at 2^(bits − 1); otherwise from the smallest to the largest weight.</summary>
    public bool Symmetric { get; init; }

    /// <summary>Takes the columns by falling diagonal of the Hessian instead of from left to right.</summary>
    public bool ActOrder { get; init; }

    /// <summary>Takes all grids from the original weights, so that with <see cref="ActOrder"/> groups remain neighbours.</summary>
    public bool StaticGroups { get; init; }

    /// <summary>Share of the Hessian's mean diagonal that is added to its diagonal; 0 to 1.</summary>
    public double Damping { get; init; } = 0.01;

    /// <summary>Which weights decide the grid of a group that starts inside a block.</summary>
    public GridVariant GridVariant { get; init; }

    /// <summary>Columns after which the pending updates reach all later columns. It changes speed, and results only by rounding.</summary>
    public int BlockSize { get; init; } = 128;

    /// <summary>
    /// Rounds scales to float16 before codes are chosen, as GPTQ files store them, so that what is stored is what was optimised.
    /// </summary>
    public bool Float16Scales { get; init; } = true;

    /// <summary>Rounding of the operands where calibration data runs through the model; Hessians and codes do not take part.</summary>
    public Precision CalibrationPrecision { get; init; }

    /// <summary>What is done beyond the published algorithm; nothing where weights are rounded to nearest.</summary>
    public Refinements Refinements { get; init; }

    /// <summary>
    /// How far layers move towards the unquantised model's output, 0 to 1, with <see cref="Refinements.Target"/>; null: as far as the
    /// amount of calibration text bears (<see cref="CalibrationTarget"/>).
    /// </summary>
    public double? TargetStrength { get; init; }

    /// <summary>The same with all refinements, in the order of falling importance with static groups, which goes well with them.</summary>
    public GptqOptions Refined() => this with { ActOrder = true, StaticGroups = true, Refinements = Refinements.All };

    /// <summary>The same with the refinements of a list.</summary>
    /// <param name="names">
    /// <c>none</c>, <c>all</c> as <see cref="Refined"/> has them, or some of <c>order</c> (act-order with static groups), <c>search</c>,
    /// <c>sequential</c>, <c>target</c> and <c>descent</c>, separated by commas.
    /// </param>
    /// <exception cref="UserErrorException">There is no such part.</exception>
    public GptqOptions WithRefinements(string names)
    {
        ArgumentNullException.ThrowIfNull(names);
        return names switch
        {
            "none" => this,
            "all" => Refined(),
            _ => names.Split(',', StringSplitOptions.TrimEntries).Aggregate(this, (options, name) => name switch
            {
                "order" => options with { ActOrder = true, StaticGroups = true },
                "search" => options with { Refinements = options.Refinements | Refinements.Search },
                "sequential" => options with { Refinements = options.Refinements | Refinements.Sequential },
                "target" => options with { Refinements = options.Refinements | Refinements.Target },
                "descent" => options with { Refinements = options.Refinements | Refinements.Descent },
                _ => throw new UserErrorException($"\"{name}\" is no refinement of GPTQ, allowed are all, none, or some of order, search, sequential, target and descent, separated by commas."),
            }),
        };
    }

    /// <summary>Whether one of the parts is on.</summary>
    internal bool Has(Refinements part) => (Refinements & part) != 0;

    /// <summary>The largest code, 2^bits − 1.</summary>
    internal int Levels => (1 << Bits) - 1;

    /// <summary>Number of groups of a row; the last may be short.</summary>
    internal int GroupCount(int columns) => GroupSize == -1 ? 1 : ((columns - 1) / GroupSize) + 1;

    /// <summary>The group length in effect for rows of this many columns.</summary>
    internal int GroupLength(int columns) => GroupSize == -1 ? columns : Math.Min(GroupSize, columns);

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public void Validate()
    {
        Require(Bits is 2 or 3 or 4 or 8, "bits", Bits, "2, 3, 4 or 8", "4 is the usual choice");
        Require(GroupSize is -1 or > 0, "group size", GroupSize, "-1 (a group for each row) or at least 1", "128, 64 and 32 are the usual choices");
        Require(Damping is >= 0 and <= 1, "damping", Damping, "0 to 1", "0.01 is the usual choice");
        Require(TargetStrength is null or (>= 0 and <= 1), "target strength", TargetStrength ?? 0, "0 to 1", "leave it out, and it follows the amount of calibration text");
        Require(BlockSize > 0, "block size", BlockSize, "at least 1", "128 is fast");
        if (CalibrationPrecision == Precision.Int8)
        {
            throw new UserErrorException("The precision of calibration is int8, allowed float32 and bfloat16: int8 rounds the activations of decoding, where no Hessian is taken.");
        }
    }

    private static void Require(bool fulfilled, string option, IFormattable value, string allowed, string advice)
    {
        if (!fulfilled)
        {
            throw new UserErrorException(
                $"The quantisation's {option} is {value.ToString(null, CultureInfo.InvariantCulture)}, allowed {allowed}; {advice}.");
        }
    }
}
