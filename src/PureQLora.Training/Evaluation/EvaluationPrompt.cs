using PureQLora.Core;

namespace PureQLora.Training;

/// <summary>
/// What a model is given in an evaluation. It is made of a question, a template and solved problems of the training split; there is no
/// way to hand it the reference solution, and <see cref="LeakGuard"/> looks at the finished text as well.
/// </summary>
public sealed class EvaluationPrompt
{
    private const string ShotDelimiter = "\n\n";

    private EvaluationPrompt(string text, int queryStart)
    {
        Text = text;
        QueryStart = queryStart;
    }

    /// <summary>The whole prompt.</summary>
    public string Text { get; }

    /// <summary>Index in <see cref="Text"/> where the shots end and the question's own part begins.</summary>
    public int QueryStart { get; }

    /// <summary>A prompt without shots.</summary>
    /// <param name="template">The format, the one of training.</param>
    /// <param name="question">The question.</param>
    public static EvaluationPrompt ZeroShot(PromptTemplate template, string question) => FewShot(template, [], question);

    /// <summary>A prompt with solved problems before the question: each <c>prompt + delimiter + target + "\n\n"</c>.</summary>
    /// <param name="template">The format.</param>
    /// <param name="shots">Solved problems, in order.</param>
    /// <param name="question">The question.</param>
    /// <exception cref="UserErrorException">A shot asks the question itself, so its solution would stand in the prompt.</exception>
    public static EvaluationPrompt FewShot(PromptTemplate template, IReadOnlyList<Shot> shots, string question)
    {
        string asked = NormalizedText.Of(question);
        string before = "";
        foreach (Shot shot in shots)
        {
            if (NormalizedText.Of(shot.Question) == asked)
            {
                throw new UserErrorException($"A few-shot example asks the test question itself (\"{LeakGuard.Excerpt(question)}\"), so the prompt would hold its solution. Draw the shots from the training split.");
            }

            before += template.Render(shot.Question) + template.TargetDelimiter + shot.Target + ShotDelimiter;
        }

        return new(before + template.Render(question), before.Length);
    }
}
