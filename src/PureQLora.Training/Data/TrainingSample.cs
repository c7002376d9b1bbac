namespace PureQLora.Training;

/// <summary>Token ids and labels of one sample.</summary>
/// <param name="InputIds">Token ids.</param>
/// <param name="Labels">Same length; <see cref="NoLabel"/> where nothing is learnt. Not shifted: label t is predicted from the ids before t.</param>
public sealed record TrainingSample(int[] InputIds, int[] Labels)
{
    /// <summary>The label that asks for no prediction.</summary>
    public const int NoLabel = -100;

    /// <summary>Number of tokens.</summary>
    public int Length => InputIds.Length;

    /// <summary>Number of predictions that the loss counts: labels, without the one of the first token, which nothing precedes.</summary>
    public int SupervisedTokens => Length - Labels.AsSpan().Count(NoLabel) - (Length > 0 && Labels[0] != NoLabel ? 1 : 0);
}
