using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>AdamW, learning rate and schedule.</summary>
public sealed record OptimizerRecipe
{
    /// <summary>Highest learning rate.</summary>
    public double LearningRate { get; init; } = 2e-4;

    /// <summary>Name of the schedule as transformers has it.</summary>
    public string Schedule { get; init; } = "cosine";

    /// <summary>Steps of the warm-up; null takes <see cref="WarmupRatio"/>.</summary>
    public int? WarmupSteps { get; init; }

    /// <summary>Share of the steps that warm up.</summary>
    public double WarmupRatio { get; init; } = 0.03;

    /// <summary>Lowest rate as a share of the highest, for the schedules that have one.</summary>
    public double? MinRateRatio { get; init; }

    /// <summary>Waves of the cosine schedules.</summary>
    public double? Cycles { get; init; }

    /// <summary>Power of the polynomial schedule.</summary>
    public double Power { get; init; } = 1;

    /// <summary>Decay steps of warmup_stable_decay.</summary>
    public int? DecaySteps { get; init; }

    /// <summary>Decay of the first moment.</summary>
    public double Beta1 { get; init; } = 0.9;

    /// <summary>Decay of the second moment.</summary>
    public double Beta2 { get; init; } = 0.999;

    /// <summary>Added to the root of the second moment.</summary>
    public double Epsilon { get; init; } = 1e-8;

    /// <summary>Decoupled weight decay.</summary>
    public double WeightDecay { get; init; }

    /// <summary>The optimiser's part.</summary>
    public AdamWOptions ToOptions() => new() { Beta1 = Beta1, Beta2 = Beta2, Epsilon = Epsilon, WeightDecay = WeightDecay };

    /// <summary>The schedule of a run of so many steps.</summary>
    /// <exception cref="UserErrorException">The schedule is unknown or its settings do not fit.</exception>
    public LearningRateSchedule ToSchedule(int totalSteps)
    {
        if (WarmupRatio is not (>= 0 and <= 1))
        {
            throw new UserErrorException(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"optimizer.warmupRatio is {WarmupRatio}, allowed 0 to 1; 0.03 is usual."));
        }

        LearningRateSchedule schedule = new()
        {
            Kind = LearningRateSchedule.ParseKind(Schedule),
            BaseRate = LearningRate,
            TotalSteps = totalSteps,
            WarmupSteps = Math.Min(totalSteps, WarmupSteps ?? (int)Math.Ceiling(WarmupRatio * totalSteps)),
            MinRateRatio = MinRateRatio,
            Cycles = Cycles,
            Power = Power,
            DecaySteps = DecaySteps,
        };
        schedule.Validate();
        return schedule;
    }
}
