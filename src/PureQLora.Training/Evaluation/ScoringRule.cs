namespace PureQLora.Training;

/// <summary>How a number is taken from a generated solution and compared with the reference.</summary>
public enum ScoringRule
{
    /// <summary>lm-evaluation-harness, filter <c>strict-match</c>: the number behind the task's own marker (<c>#### 18</c>, <c>The answer is 18.</c>).</summary>
    Strict,

    /// <summary>lm-evaluation-harness, filter <c>flexible-extract</c>: the last thing in the text that looks like a number.</summary>
    Flexible,

    /// <summary>openai/grade-school-math, dataset.py: the first <c>#### n</c>, compared as text without commas.</summary>
    OpenAI,

    /// <summary>meta-math/MetaMath, eval_gsm8k.py: the number after the last <c>The answer is: </c>, rounded, compared as a number.</summary>
    MetaMath,
}
