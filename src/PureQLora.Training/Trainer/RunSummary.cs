namespace PureQLora.Training;

/// <summary>What a finished run gave.</summary>
public sealed record RunSummary
{
    /// <summary>Name of the run.</summary>
    public required string Name { get; init; }

    /// <summary>The run's folder.</summary>
    public required string Folder { get; init; }

    /// <summary>The adapter's PEFT folder.</summary>
    public required string Adapter { get; init; }

    /// <summary>Headings of the results of every stage.</summary>
    public required IReadOnlyList<string> ProblemSets { get; init; }

    /// <summary>The model's states in order: base, quantised base, with adapter.</summary>
    public required IReadOnlyList<RunStage> Stages { get; init; }

    /// <summary>Values that were trained.</summary>
    public required long TrainableParameters { get; init; }

    /// <summary>Weights of the base.</summary>
    public required long BaseParameters { get; init; }

    /// <summary>Memory of the adapters, their gradients and both moments.</summary>
    public required long OptimizerBytes { get; init; }

    /// <summary>Largest memory of one pass in this process; 0 where it had nothing left to train.</summary>
    public required long PeakActivationBytes { get; init; }

    /// <summary>All steps.</summary>
    public required IReadOnlyList<StepMetrics> Steps { get; init; }

    /// <summary>Sum of the steps' durations.</summary>
    public double TrainingSeconds => Steps.Sum(step => step.Seconds);

    /// <summary>Tokens that went through the model.</summary>
    public long Tokens => Steps.Sum(step => step.Tokens);

    /// <summary>Share of the values that were trained.</summary>
    public double TrainableShare => TrainableParameters / (double)(TrainableParameters + BaseParameters);

    /// <summary>What fine-tuning did to each problem set, in words: the last two stages beside each other.</summary>
    public IEnumerable<string> Changes()
    {
        if (Stages is not [.., { } before, { } after])
        {
            yield break;
        }

        for (int i = 0; i < ProblemSets.Count; i++)
        {
            (Accuracy from, Accuracy to) = (before.Results[i].Accuracy, after.Results[i].Accuracy);
            double change = 100 * (to.Mean - from.Mean);
            double error = 100 * Math.Sqrt(Math.Pow(from.StandardError ?? 0, 2) + Math.Pow(to.StandardError ?? 0, 2));
            string verdict = change == 0 ? "unchanged" : Math.Abs(change) <= 2 * error ? "within two standard errors" : change > 0 ? "better" : "worse";
            yield return string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"{ProblemSets[i]}: {100 * from.Mean:F1} % → {100 * to.Mean:F1} % ({change:+0.0;−0.0;0.0} ± {error:F1} points, {verdict})");
        }
    }
}
