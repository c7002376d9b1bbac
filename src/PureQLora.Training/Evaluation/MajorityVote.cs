namespace PureQLora.Training;

/// <summary>Self-consistency: several sampled solutions of one problem vote on its answer (Wang et al., arXiv:2203.11171).</summary>
public static class MajorityVote
{
    /// <summary>
    /// The answer with most votes. Solutions without an answer do not vote, the others vote for their cleaned text
    /// (<see cref="ExactMatch.Clean"/>); ties go to the answer seen first.
    /// </summary>
    /// <param name="answers">Extracted answers in the order they were sampled.</param>
    /// <returns>The cleaned winner, or <see cref="AnswerScorer.Invalid"/> where nobody voted.</returns>
    public static string Decide(IEnumerable<string> answers) =>
        Winner(answers.Where(answer => answer != AnswerScorer.Invalid).Select(ExactMatch.Clean)) ?? AnswerScorer.Invalid;

    /// <summary>The vote as lm-evaluation-harness counts it: raw texts, <see cref="AnswerScorer.Invalid"/> included, ties to the first seen.</summary>
    /// <param name="answers">Extracted answers in the order they were sampled; at least one.</param>
    public static string DecideAsHarness(IEnumerable<string> answers) =>
        Winner(answers) ?? throw new ArgumentException("A vote needs at least one answer.", nameof(answers));

    private static string? Winner(IEnumerable<string> votes)
    {
        Dictionary<string, int> counts = [];
        List<string> seen = [];
        foreach (string vote in votes)
        {
            if (!counts.TryGetValue(vote, out int count))
            {
                seen.Add(vote);
            }

            counts[vote] = count + 1;
        }

        // MaxBy keeps the first of equals.
        return seen.MaxBy(vote => counts[vote]);
    }
}
