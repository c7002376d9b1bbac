using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>How adapters that know their quantised base are started.</summary>
public sealed record AdapterStartOptions
{
    /// <summary>Most alternations of LoftQ that are any use.</summary>
    public const int MostIterations = 100;

    /// <summary>What the adapters start from.</summary>
    public AdapterStart Start { get; init; }

    /// <summary>
    /// Times that LoftQ quantises and approximates, T; PEFT's <c>loftq_iter</c>. 1 leaves the codes as they are; more quantise W − s·B·A again.
    /// </summary>
    public int LoftqIterations { get; init; } = 1;

    /// <summary>How LoftQ quantises again.</summary>
    public QuantizationMethod Method { get; init; }

    /// <summary>Grid and algorithm for that; the precision is that of the calibration too.</summary>
    public GptqOptions Quantization { get; init; } = new();

    /// <summary>Chooses what is random of the adapters, and where searches start.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether calibration text is needed.</summary>
    public bool NeedsCalibration => Start == AdapterStart.Error || (Requantizes && Method == QuantizationMethod.Gptq);

    /// <summary>Whether the codes of the base change.</summary>
    public bool Requantizes => Start == AdapterStart.Loftq && LoftqIterations > 1;

    /// <summary>Refuses values outside their range.</summary>
    /// <exception cref="UserErrorException">An option is out of range.</exception>
    public void Validate()
    {
        if (LoftqIterations is < 1 or > MostIterations)
        {
            throw new UserErrorException($"LoftQ alternates {LoftqIterations} times, allowed 1 to {MostIterations}; 1 and 5 are usual.");
        }

        Quantization.Validate();
    }
}
