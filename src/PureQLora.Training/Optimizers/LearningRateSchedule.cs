using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>
/// The learning rate of every optimizer step, equal in all digits to transformers 5.23. With w warm-up steps of T, the warm-up is
/// t / w (step 0 runs with rate 0) and the progress behind it p = (t − w) / (T − w).
/// </summary>
/// <remarks>Cosine: Loshchilov and Hutter, arXiv:1608.03983. Inverse square root: Vaswani et al., arXiv:1706.03762. Warm-up, stable, decay: Hu et al., arXiv:2404.06395.</remarks>
public sealed record LearningRateSchedule
{
    private static readonly Dictionary<string, ScheduleKind> Names = new(StringComparer.Ordinal)
    {
        ["constant"] = ScheduleKind.Constant,
        ["constant_with_warmup"] = ScheduleKind.ConstantWithWarmup,
        ["linear"] = ScheduleKind.Linear,
        ["cosine"] = ScheduleKind.Cosine,
        ["cosine_with_restarts"] = ScheduleKind.CosineWithRestarts,
        ["cosine_with_min_lr"] = ScheduleKind.CosineWithMinLr,
        ["cosine_warmup_with_min_lr"] = ScheduleKind.CosineWarmupWithMinLr,
        ["polynomial"] = ScheduleKind.Polynomial,
        ["inverse_sqrt"] = ScheduleKind.InverseSqrt,
        ["warmup_stable_decay"] = ScheduleKind.WarmupStableDecay,
    };

    /// <summary>Which schedule.</summary>
    public ScheduleKind Kind { get; init; } = ScheduleKind.Cosine;

    /// <summary>Highest rate.</summary>
    public double BaseRate { get; init; } = 2e-4;

    /// <summary>Optimizer steps of the whole run (T).</summary>
    public required int TotalSteps { get; init; }

    /// <summary>Steps of the warm-up (w).</summary>
    public int WarmupSteps { get; init; }

    /// <summary>Waves of the cosine schedules (default ½: one way down) or number of restarts' half waves (default 1).</summary>
    public double? Cycles { get; init; }

    /// <summary>Lowest rate of the two cosine schedules that have one; either this or <see cref="MinRateRatio"/>.</summary>
    public double? MinRate { get; init; }

    /// <summary>The same as a share of <see cref="BaseRate"/>; also of <see cref="ScheduleKind.WarmupStableDecay"/>, whose default is 0.</summary>
    public double? MinRateRatio { get; init; }

    /// <summary>Where the warm-up of <see cref="ScheduleKind.CosineWarmupWithMinLr"/> starts, as a share of <see cref="BaseRate"/>; default 1 / w.</summary>
    public double? WarmupRateRatio { get; init; }

    /// <summary>Power of <see cref="ScheduleKind.Polynomial"/>.</summary>
    public double Power { get; init; } = 1;

    /// <summary>End rate of <see cref="ScheduleKind.Polynomial"/>.</summary>
    public double EndRate { get; init; } = 1e-7;

    /// <summary>Time scale of <see cref="ScheduleKind.InverseSqrt"/>; default w, or 10,000 without warm-up.</summary>
    public int? Timescale { get; init; }

    /// <summary>Level steps of <see cref="ScheduleKind.WarmupStableDecay"/>; default: what warm-up and decay leave.</summary>
    public int? StableSteps { get; init; }

    /// <summary>Decay steps of <see cref="ScheduleKind.WarmupStableDecay"/>.</summary>
    public int? DecaySteps { get; init; }

    /// <summary>Warm-up of <see cref="ScheduleKind.WarmupStableDecay"/>.</summary>
    public RampShape WarmupShape { get; init; } = RampShape.Linear;

    /// <summary>Decay of <see cref="ScheduleKind.WarmupStableDecay"/>.</summary>
    public RampShape DecayShape { get; init; } = RampShape.Cosine;

    /// <summary>The schedule of transformers' name, for example <c>cosine_with_restarts</c>.</summary>
    /// <exception cref="UserErrorException">There is none.</exception>
    public static ScheduleKind ParseKind(string name) => Names.TryGetValue(name, out ScheduleKind kind)
        ? kind
        : throw new UserErrorException($"Unknown learning-rate schedule \"{name}\": use {string.Join(", ", Names.Keys)}.");

    /// <summary>The ramp of transformers' name: <c>linear</c>, <c>cosine</c> or <c>1-sqrt</c>.</summary>
    /// <exception cref="UserErrorException">There is none.</exception>
    public static RampShape ParseShape(string name) => name switch
    {
        "linear" => RampShape.Linear,
        "cosine" => RampShape.Cosine,
        "1-sqrt" => RampShape.OneMinusSqrt,
        _ => throw new UserErrorException($"Unknown ramp \"{name}\": use linear, cosine or 1-sqrt."),
    };

    /// <summary>Checks that the settings make sense together.</summary>
    /// <exception cref="UserErrorException">They do not.</exception>
    public void Validate()
    {
        Require(double.IsFinite(BaseRate) && BaseRate > 0, $"The learning rate is {BaseRate}, allowed are positive numbers. Try 2e-4.");
        Require(TotalSteps >= 1, $"The schedule has {TotalSteps} steps, allowed is 1 or more.");
        Require(WarmupSteps >= 0 && WarmupSteps <= TotalSteps, $"The warm-up has {WarmupSteps} steps, allowed are 0 to the run's {TotalSteps}.");
        Require(double.IsFinite(Power) && Power > 0, $"The polynomial's power is {Power}, allowed are positive numbers. Try 1.");
        Require(Timescale is null or > 0, $"The time scale is {Timescale} steps, allowed is 1 or more.");
        Require(Cycles is null or (> 0 and < 1e6), $"The schedule has {Cycles} cycles, allowed are positive numbers. Try 0.5 for cosine, 1 for restarts.");
        Require(MinRateRatio is null or (>= 0 and <= 1), $"The lowest rate is {MinRateRatio} of the highest, allowed are 0 to 1.");
        Require(WarmupRateRatio is null or (>= 0 and <= 1), $"The warm-up starts at {WarmupRateRatio} of the highest rate, allowed are 0 to 1.");
        Require(MinRate is null || (MinRate >= 0 && MinRate <= BaseRate), $"The lowest rate is {MinRate}, allowed are 0 to the highest, {BaseRate}.");
        switch (Kind)
        {
            case ScheduleKind.Polynomial:
                Require(EndRate >= 0 && EndRate < BaseRate, $"The end rate is {EndRate}, allowed is 0 to below the highest rate, {BaseRate}.");
                break;
            case ScheduleKind.CosineWithMinLr or ScheduleKind.CosineWarmupWithMinLr:
                Require(MinRate is null != MinRateRatio is null, "This schedule needs its lowest rate, either as a rate or as a share of the highest. Try a share of 0.1.");
                break;
            case ScheduleKind.WarmupStableDecay:
                Require(DecaySteps is >= 0 && StableSteps is null or >= 0 && (StableSteps is not null || WarmupSteps + DecaySteps <= TotalSteps), $"Warm-up ({WarmupSteps}), stable ({StableSteps?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "rest"}) and decay ({DecaySteps?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "missing"}) steps must fit the run's {TotalSteps}. Name the decay steps.");
                break;
        }
    }

    /// <summary>The rate of an optimizer step.</summary>
    /// <param name="step">Counted from 0; steps past <see cref="TotalSteps"/> are answered as transformers does.</param>
    public double Rate(int step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        return BaseRate * Factor(step);
    }

    private double Factor(int step)
    {
        int warmup = WarmupSteps;
        if (step < warmup && Kind is not (ScheduleKind.Constant or ScheduleKind.CosineWarmupWithMinLr or ScheduleKind.WarmupStableDecay))
        {
            return step / (double)warmup;
        }

        double progress = (step - warmup) / (double)Math.Max(1, TotalSteps - warmup);
        switch (Kind)
        {
            case ScheduleKind.Linear:
                return Math.Max(0, (TotalSteps - step) / (double)Math.Max(1, TotalSteps - warmup));
            case ScheduleKind.Cosine:
                return Math.Max(0, Wave(progress));
            case ScheduleKind.CosineWithRestarts:
                return progress >= 1 ? 0 : Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * ((Cycles ?? 1) * progress % 1))));
            case ScheduleKind.CosineWithMinLr:
                return AboveMinimum(Wave(progress));
            case ScheduleKind.CosineWarmupWithMinLr:
                return WarmupAboveZero(step) ?? AboveMinimum(Wave((step - warmup + 1) / (double)Math.Max(1, TotalSteps - warmup)));
            case ScheduleKind.Polynomial:
                return step > TotalSteps ? EndRate / BaseRate : PolynomialFactor(step);
            case ScheduleKind.InverseSqrt:
                int timescale = Timescale ?? (warmup > 0 ? warmup : 10_000);
                return 1 / Math.Sqrt((step + (timescale - warmup)) / (double)timescale);
            case ScheduleKind.WarmupStableDecay:
                return WarmupStableDecayFactor(step);
            default:
                return 1;
        }
    }

    private double Wave(double progress) => 0.5 * (1 + Math.Cos(Math.PI * (Cycles ?? 0.5) * 2 * progress));

    private double AboveMinimum(double factor)
    {
        double minimum = MinRateRatio ?? MinRate / BaseRate ?? 0;
        return Math.Max(0, (factor * (1 - minimum)) + minimum);
    }

    private double? WarmupAboveZero(int step)
    {
        if (step >= WarmupSteps)
        {
            return null;
        }

        return WarmupRateRatio is { } first
            ? first + ((1 - first) * step / Math.Max(1, WarmupSteps - 1))
            : (step + 1.0) / WarmupSteps;
    }

    private double PolynomialFactor(int step)
    {
        double remaining = 1 - ((step - WarmupSteps) / (double)Math.Max(1, TotalSteps - WarmupSteps));
        return (((BaseRate - EndRate) * Math.Pow(remaining, Power)) + EndRate) / BaseRate;
    }

    private double WarmupStableDecayFactor(int step)
    {
        double minimum = MinRateRatio ?? 0;
        if (step < WarmupSteps)
        {
            double up = step / (double)WarmupSteps;
            double rising = WarmupShape switch
            {
                RampShape.Linear => up,
                RampShape.Cosine => 0.5 * (1 - Math.Cos(Math.PI * up)),
                _ => 1 - Math.Sqrt(1 - up),
            };
            return Math.Max(0, (rising * (1 - minimum)) + minimum);
        }

        int decay = DecaySteps ?? 0;
        int stable = StableSteps ?? (TotalSteps - WarmupSteps - decay);
        if (step < WarmupSteps + stable)
        {
            return 1;
        }

        if (step >= WarmupSteps + stable + decay)
        {
            return minimum;
        }

        double down = (step - WarmupSteps - stable) / (double)decay;
        double falling = DecayShape switch
        {
            RampShape.Linear => 1 - down,
            RampShape.Cosine => Wave(down),
            _ => 1 - Math.Sqrt(down),
        };
        return Math.Max(0, (falling * (1 - minimum)) + minimum);
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new UserErrorException(message);
        }
    }
}
