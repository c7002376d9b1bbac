using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>Finds test questions that were trained on, by their texts and not by their seeds.</summary>
public static class ProblemOverlap
{
    /// <summary>The test questions whose text, without white space and case, also occurs in the training questions.</summary>
    public static IReadOnlyList<string> Find(IEnumerable<string> training, IEnumerable<string> test)
    {
        HashSet<string> seen = [.. training.Select(NormalizedText.Of)];
        return [.. test.Where(question => seen.Contains(NormalizedText.Of(question)))];
    }

    /// <summary>Insists that there is none.</summary>
    /// <exception cref="UserErrorException">There is at least one.</exception>
    public static void Refuse(IEnumerable<string> training, IEnumerable<string> test)
    {
        IReadOnlyList<string> overlap = Find(training, test);
        if (overlap.Count > 0)
        {
            throw new UserErrorException($"{overlap.Count} test questions also stand in the training data, the first is \"{LeakGuard.Excerpt(overlap[0])}\", so the score would measure memory. Remove them from one of the two.");
        }
    }
}
