namespace PureQLora.Training;

/// <summary>
/// Makes up grade-school word problems with worked solutions. The problem at an index depends on seed, families and split only, on every machine.
/// </summary>
public sealed class WordProblemGenerator
{
    private static readonly Func<Story, WordProblem>[] Composers =
    [
        JoiningProblems.Compose, SeparatingProblems.Compose, EqualGroupProblems.Compose, SharingProblems.Compose, ComparingProblems.Compose, TimingProblems.Compose,
        SavingProblems.Compose, TwoStepProblems.Compose, ThreeStepProblems.Compose, RunningCountProblems.Compose, EarningProblems.Compose,
    ];

    private readonly ulong _seed;
    private readonly ProblemFamily[] _families;
    private readonly ProblemSplit? _split;

    /// <summary>Creates a generator.</summary>
    /// <param name="seed">Seed.</param>
    /// <param name="families">Families, each as likely as the others.</param>
    /// <param name="split">The part of all texts to draw from, or null for both.</param>
    public WordProblemGenerator(ulong seed, IReadOnlyList<ProblemFamily> families, ProblemSplit? split = null)
    {
        ArgumentOutOfRangeException.ThrowIfZero(families.Count);
        (_seed, _families, _split) = (seed, [.. families], split);
    }

    /// <summary>The families that the base model is trained on.</summary>
    public static IReadOnlyList<ProblemFamily> KnownFamilies { get; } = [.. Enum.GetValues<ProblemFamily>().Where(family => family != ProblemFamily.Earning)];

    /// <summary>The problem at an index.</summary>
    /// <param name="index">0 or more; every index has its problem, two may have the same.</param>
    public WordProblem At(long index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        SplitMix64 random = SplitMix64.ForStream(_seed, (ulong)index);
        Func<Story, WordProblem> compose = Composers[(int)_families[random.NextBelow(_families.Length)]];
        Story story = new(random);
        WordProblem problem = compose(story);
        while (_split is { } split && problem.Split != split)
        {
            problem = compose(story);
        }

        return problem;
    }

    /// <summary>The first problems with distinct questions.</summary>
    /// <param name="count">How many.</param>
    /// <param name="first">Index to start from.</param>
    /// <param name="exclude">Questions that must not come up, such as those of a test set; null for none.</param>
    public IReadOnlyList<WordProblem> Distinct(int count, long first = 0, IEnumerable<string>? exclude = null)
    {
        HashSet<string> seen = [.. (exclude ?? []).Select(NormalizedText.Of)];
        List<WordProblem> problems = new(count);
        long limit = first + (100L * count) + 1000;
        for (long index = first; problems.Count < count; index++)
        {
            if (index == limit)
            {
                throw new ArgumentOutOfRangeException(nameof(count), count, $"The families have too few distinct texts; found {problems.Count}.");
            }

            WordProblem problem = At(index);
            if (seen.Add(NormalizedText.Of(problem.Question)))
            {
                problems.Add(problem);
            }
        }

        return problems;
    }
}
