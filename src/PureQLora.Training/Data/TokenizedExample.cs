namespace PureQLora.Training;

/// <summary>Token ids with their labels.</summary>
/// <param name="Location">File and line.</param>
/// <param name="InputIds">Token ids.</param>
/// <param name="Labels">One a token, −100 where nothing is learnt; not shifted.</param>
public sealed record TokenizedExample(string Location, int[] InputIds, int[] Labels) : TrainingExample(Location);
