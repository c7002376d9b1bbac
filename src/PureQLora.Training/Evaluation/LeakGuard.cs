using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>
/// Refuses prompts that hold the reference solution. A published project generated behind prompt and solution together and then
/// found the solution's answer in its own prompt; this is the check that would have stopped it.
/// </summary>
/// <remarks>
/// Texts are compared without white space, case and calculator marks. A prompt leaks when it holds
/// the whole solution; or its reasoning (the part before the last <c>####</c>); or, outside the shots, one of its lines that does a
/// calculation, or its <c>#### n</c>. Numbers alone are no leak: questions name them, too.
/// </remarks>
public static class LeakGuard
{
    /// <summary>A shorter piece of reasoning ("6", "Zero") can stand in any question.</summary>
    private const int ShortestReasoning = 12;
    private const int ShortestCalculation = 6;

    /// <summary>Checks a prompt against the solution that its answer will be compared with.</summary>
    /// <param name="prompt">The prompt.</param>
    /// <param name="referenceAnswer">The reference solution.</param>
    /// <exception cref="UserErrorException">The prompt holds the solution.</exception>
    public static void Check(EvaluationPrompt prompt, string referenceAnswer)
    {
        if (FindLeak(prompt, referenceAnswer) is { } leak)
        {
            throw new UserErrorException($"The evaluation prompt holds {leak} of its reference solution, so the score would mean nothing. Give prompts the question alone and draw shots from the training split.");
        }
    }

    /// <summary>What of the solution the prompt holds, in words, or null.</summary>
    internal static string? FindLeak(EvaluationPrompt prompt, string referenceAnswer)
    {
        string text = NormalizedText.Of(prompt.Text);
        string query = NormalizedText.Of(prompt.Text[prompt.QueryStart..]);
        int marker = referenceAnswer.LastIndexOf("####", StringComparison.Ordinal);
        string reasoning = marker < 0 ? referenceAnswer : referenceAnswer[..marker];
        if (NormalizedText.Of(reasoning) is { Length: >= ShortestReasoning } steps && text.Contains(steps, StringComparison.Ordinal))
        {
            return "the reasoning";
        }

        if (marker >= 0 && HoldsFinalLine(query, NormalizedText.Of(referenceAnswer[marker..])))
        {
            return "the final line";
        }

        foreach (string line in reasoning.Split('\n'))
        {
            if (NormalizedText.Of(line) is { Length: >= ShortestCalculation } step && step.Contains('=', StringComparison.Ordinal) && query.Contains(step, StringComparison.Ordinal))
            {
                return $"the step \"{Excerpt(line)}\"";
            }
        }

        return null;
    }

    /// <summary>The first words of a text, for messages.</summary>
    internal static string Excerpt(string text) => text.Length <= 60 ? text : text[..60] + "…";

    /// <summary>Whether "####18" occurs with nothing behind it that would make it another number.</summary>
    private static bool HoldsFinalLine(string query, string finalLine)
    {
        if (finalLine.Length <= 4)
        {
            return false;
        }

        for (int at = 0; (at = query.IndexOf(finalLine, at, StringComparison.Ordinal)) >= 0; at++)
        {
            int end = at + finalLine.Length;
            if (end == query.Length || !char.IsAsciiDigit(query[end]))
            {
                return true;
            }
        }

        return false;
    }
}
